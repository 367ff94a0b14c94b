"""Variables by path: where in a weights file each object of a model keeps its variables.

Keras 3's rule: an object's variables lie at `<path>/vars/<i>`; its children follow, each under the attribute's name; a
list or dictionary adds a level whose names are the children's classes in snake case, numbered.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.naming import to_snake_case
from engine.primitives.primitive import Array
from engine.saving import hdf5

if TYPE_CHECKING:
    import h5py

# How many of a list an error names.
_LISTED = 5
# What Keras 2 called parts of a path: its 2.13 the layers, all of it what attention layers consist of.
_FORMER_NAMES: tuple[dict[str, str], ...] = (
    {},
    {"layers": "_layer_checkpoint_dependencies"},
    {f"{name}_dense": f"_{name}_dense" for name in ("key", "output", "query", "value")},
)


def saveables(root: Any) -> Iterator[tuple[str, Any]]:
    """Every object below `root` that may own variables, with its path; each once."""
    yield from _walk(root, "", set())


def _walk(item: Any, path: str, visited: set[int]) -> Iterator[tuple[str, Any]]:
    if id(item) in visited:
        return
    visited.add(id(item))
    yield path, item
    for name, child in item.saveable_children().items():
        inner = f"{path}/{name}" if path else name
        if isinstance(child, (list, tuple, dict)):
            yield from _walk_container(child, inner, visited)
        else:
            yield from _walk(child, inner, visited)


def _walk_container(container: Any, path: str, visited: set[int]) -> Iterator[tuple[str, Any]]:
    used: dict[str, int] = {}
    for item in container.values() if isinstance(container, dict) else container:
        nested = isinstance(item, (list, tuple, dict))
        if not nested and not hasattr(item, "saveable_children"):
            continue
        name = "container" if nested else to_snake_case(type(item).__name__)
        if name in used:
            used[name] += 1
            name = f"{name}_{used[name]}"
        else:
            used[name] = 0
        if nested:
            yield from _walk_container(item, f"{path}/{name}", visited)
        else:
            yield from _walk(item, f"{path}/{name}", visited)


def write_variables(file: h5py.File, root: Any) -> None:
    """Writes all variables below `root`."""
    for path, item in saveables(root):
        store: dict[str, Array] = {}
        item.save_own_variables(store)
        group = file.require_group(f"{path}/vars")
        if getattr(item, "name", None):
            group.attrs["name"] = item.name
        for name, array in store.items():
            hdf5.write_array(group, name, array)


class _Store(Mapping[str, Array]):
    """The datasets of one object, read when asked for."""

    def __init__(self, datasets: Mapping[str, h5py.Dataset]) -> None:
        self._datasets = datasets
        self._names = sorted(datasets, key=lambda name: (len(name), name))

    def __getitem__(self, name: str) -> Array:
        if name not in self._datasets:
            raise KeyError(f"the file has no variable {name!r} here")
        return hdf5.read_array(self._datasets[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Contents:
    """What a weights file holds, or several that belong together, by one walk through each."""

    def __init__(self, *files: h5py.File) -> None:
        self._groups: dict[str, dict[str, h5py.Dataset]] = {}
        for file in files:
            for path, dataset in hdf5.datasets(file):
                group, _, name = path.rpartition("/")
                if name in self._groups.setdefault(group, {}):
                    raise ValueError(f"Two of the files hold {path!r}.")
                self._groups[group][name] = dataset

    def groups(self) -> set[str]:
        """The paths of all groups with datasets."""
        return set(self._groups)

    def datasets(self) -> Iterator[tuple[str, h5py.Dataset]]:
        """All datasets with their paths."""
        for group, found in self._groups.items():
            for name, dataset in found.items():
                yield f"{group}/{name}".lstrip("/"), dataset

    def paths(self) -> set[str]:
        """The paths of all datasets."""
        return {path for path, _ in self.datasets()}

    def substance(self) -> int:
        """How many bytes of variables the file can fill."""
        return sum(hdf5.substance(dataset) for _, dataset in self.datasets())

    def store(self, path: str) -> tuple[Mapping[str, Array], str]:
        """The datasets of the group at a path, or where older Keras put it; and the path found."""
        parts = path.split("/")
        for first, second in itertools.combinations_with_replacement(_FORMER_NAMES, 2):
            former = "/".join({**first, **second}.get(part, part) for part in parts)
            if former in self._groups:
                return _Store(self._groups[former]), former
        return _Store({}), path


def read_variables(
    contents: Contents, root: Any, ignore: Sequence[str] = (), skip_mismatch: bool = False, restore: bool = False
) -> None:
    """Gives every object below `root` its variables from the file.

    Args:
        ignore: top-level groups whose contents may be left over (an optimizer's, when the model is not compiled).
        skip_mismatch: what does not fit is left as it is, with a warning.
        restore: in case of an error, all variables get back what they had (a copy is kept meanwhile).

    Raises:
        ValueError: lists what is missing, left over or of another shape, the first few of each.
    """
    problems: list[str] = []
    before: dict[str, dict[str, Array]] = {}
    leftover = contents.paths()
    for path, item in saveables(root):
        if path.split("/")[0] in ignore:
            continue
        if restore:
            item.save_own_variables(before.setdefault(path, {}))
        store, found = contents.store(f"{path}/vars".lstrip("/"))
        leftover.difference_update(f"{found}/{name}" for name in store)
        try:
            item.load_own_variables(store)
        except (ValueError, KeyError) as error:
            name = getattr(item, "name", None) or type(item).__name__
            problems.append(f"{name!r} at {path or '/'}: {error.args[0] if error.args else error}")
    kept = sorted(name for name in leftover if name.split("/")[0] not in ignore)
    if kept:
        # First, since the many others may be cut short.
        problems.insert(0, f"the file has variables that the model has no place for: {', '.join(shortened(kept))}")
    if not problems:
        return
    message = mismatches(problems)
    if skip_mismatch:
        warnings.warn(message, stacklevel=4)
        return
    for path, item in saveables(root):
        if path in before:
            item.load_own_variables(before[path])
    raise ValueError(message)


def mismatches(problems: Sequence[str]) -> str:
    """What to say where a model and a file do not fit: how many things, and the first few, a line each."""
    plural = "es" if len(problems) > 1 else ""
    first = f"{len(problems)} mismatch{plural} between the model and the weights in the file:"
    return "\n".join([first, *(f"- {problem}" for problem in shortened(problems))])


def shortened(items: Sequence[str]) -> list[str]:
    """The first few of a list, and how many more there are."""
    more = len(items) - _LISTED
    return [*items[:_LISTED], f"and {more} more"] if more > 0 else list(items)
