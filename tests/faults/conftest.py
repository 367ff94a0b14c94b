"""How long, with which seed, and the scenarios that were asked for, played side by side."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.faults.lanes import Lanes
from tests.faults.scenarios import CONTROLS, SCENARIOS
from tests.service.conftest import _shared_server, redis_server

__all__ = ["_shared_server", "redis_server"]

DEFAULT_SEED = 4
DEFAULT_MINUTES = 0.3


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where this folder is not named on the command line, the variables say it."""
    group = parser.getgroup("faults")
    group.addoption("--fault-minutes", type=float, help="play everything at once for so long (BEAGLE_FAULT_MINUTES)")
    group.addoption("--fault-seed", type=int, help="of what the faults draw (BEAGLE_FAULT_SEED)")


def _chosen(config: pytest.Config, option: str, variable: str) -> str | None:
    given = config.getoption(option, default=None)
    return str(given) if given is not None else os.environ.get(variable)


@pytest.fixture(scope="session")
def fault_minutes(pytestconfig: pytest.Config) -> float:
    """For how long to play everything at once."""
    return float(_chosen(pytestconfig, "--fault-minutes", "BEAGLE_FAULT_MINUTES") or DEFAULT_MINUTES)


@pytest.fixture(scope="session")
def fault_seed(pytestconfig: pytest.Config, fault_minutes: float) -> int:
    """Of all that is drawn: always the same, but another one each time where it runs for long."""
    given = _chosen(pytestconfig, "--fault-seed", "BEAGLE_FAULT_SEED")
    if given is not None:
        return int(given)
    return random.randrange(2**32) if fault_minutes > DEFAULT_MINUTES else DEFAULT_SEED


@pytest.fixture(scope="session")
def lanes(request: pytest.FixtureRequest, fault_seed: int) -> Iterator[Lanes]:
    """Plays the scenarios that the collected tests name."""
    names = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and "lanes" in item.fixturenames and hasattr(item, "callspec")
    ]
    with Lanes([(SCENARIOS | CONTROLS)[name] for name in names], fault_seed) as playing:
        yield playing
