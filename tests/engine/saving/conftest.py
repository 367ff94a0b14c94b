"""Real data, where it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def test_data() -> Path:
    """The folder of real data; a test that needs it is skipped where it is absent."""
    default = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("BEAGLE_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"there is no folder of real data at {folder} (BEAGLE_TEST_DATA names another)")
    return folder
