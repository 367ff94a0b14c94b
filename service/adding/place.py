"""The folder of a version: looked at before, swapped in after."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.adding.order import AddError
from service.repository import is_model_place


def check_place(repository: Path, name: str, version: str, *, replace: bool) -> Path:
    """The folder that a version will have.

    Raises:
        AddError: it may not be called so, a file is in its way, or it is there and not to be replaced.
    """
    if not is_model_place(name, version):
        raise AddError(
            "expected a name of letters, digits, '.', '_' and '-', and a version that is a whole number from 1, "
            f"got {name!r} and {version!r}"
        )
    place = repository / name / version
    for folder in (repository, place.parent):
        if folder.exists() and not folder.is_dir():
            raise AddError(f"--model-repository {repository}: expected a folder, but {folder} is a file")
    if place.exists() and not replace:
        raise AddError(f"{place} is there already; --force replaces it, --version adds another beside it")
    return place


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """A folder that becomes `place` when the block ends well, and otherwise is gone; what was there before goes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    # Its name begins with a dot, so that nobody takes it for a version.
    folder = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if place.exists():
            place.rename(folder / ".replaced")
            folder.rename(place)
            shutil.rmtree(place / ".replaced")
        else:
            folder.rename(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not any(place.parent.iterdir()):
            place.parent.rmdir()
