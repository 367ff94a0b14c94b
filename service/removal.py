"""Models taken out of the repository: gone at once or not at all, whatever happens meanwhile."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.repository import DESCRIPTION_FILE, is_model_place

_ANY_VERSION = "1"


class RemoveError(RuntimeError):
    """The model cannot be removed; the message says why."""


@dataclass(frozen=True)
class Removable:
    """What is to be removed.

    Attributes:
        repository: The folder of models.
        name: Of the model.
        versions: Which ones, oldest first.
        whole: Whether they are all there are, so that the model itself goes.
    """

    repository: Path
    name: str
    versions: tuple[str, ...]
    whole: bool

    @property
    def text(self) -> str:
        """In words."""
        noun = "version" if len(self.versions) == 1 else "versions"
        return f"{self.name} {noun} {', '.join(self.versions)}"


def find_removable(repository: Path, name: str, version: str | None = None) -> Removable:
    """What would go. Versions count by their folders, so that damaged ones can be removed as well.

    Raises:
        RemoveError: there is no such model or version.
    """
    there = _versions(repository / name) if is_model_place(name, _ANY_VERSION) else ()
    if not there:
        names = ", ".join(folder.name for folder in _models(repository)) or "none"
        raise RemoveError(f"{repository}: no model is named {name!r}; there are {names}")
    if version is None:
        return Removable(repository, name, there, whole=True)
    if version not in there:
        raise RemoveError(f"{repository}: model {name!r} has no version {version!r}; it has {', '.join(there)}")
    return Removable(repository, name, (version,), whole=there == (version,))


def remove_models(found: Removable) -> int:
    """Remove them: renamed in one step to a name that nobody reads, then deleted.

    Returns:
        How many models are left in the repository.

    Raises:
        RemoveError: the folder cannot be renamed, and everything is as it was; or not all of it could be deleted.
    """
    model = found.repository / found.name
    place = model if found.whole else model / found.versions[0]
    if found.whole and _versions(model) != found.versions:  # it was asked for what was there then
        raise RemoveError(f"{model} has changed meanwhile; nothing was removed")
    try:
        # Beside the place, since renaming works within one file system; its name begins with a dot.
        grave = Path(tempfile.mkdtemp(prefix=f".removed.{place.name}.", dir=place.parent))
        try:
            place.rename(grave / place.name)
        except OSError:
            grave.rmdir()
            raise
    except OSError as error:
        raise RemoveError(f"{place} cannot be removed: {error.strerror}") from error
    try:
        if (grave / place.name).is_symlink():  # what it leads to belongs to others
            (grave / place.name).unlink()
        shutil.rmtree(grave)
    except OSError as error:
        raise RemoveError(
            f"{found.text} is removed, but {grave} could not be deleted ({error.strerror}); delete it by hand"
        ) from error
    return sum(1 for _ in _models(found.repository))


def _models(repository: Path) -> Iterator[Path]:
    if repository.is_dir():
        for folder in sorted(repository.iterdir()):
            if is_model_place(folder.name, _ANY_VERSION) and any(
                (folder / version / DESCRIPTION_FILE).exists() for version in _versions(folder)
            ):
                yield folder


def _versions(model: Path) -> tuple[str, ...]:
    """Names of a model's versions, oldest first."""
    if not model.is_dir():
        return ()
    names = (entry.name for entry in model.iterdir() if entry.is_dir() and is_model_place(model.name, entry.name))
    return tuple(sorted(names, key=int))
