"""Variables by path: where in a weights file each object of a model keeps its variables.

Keras 3's rule: an object's variables lie at `<path>/vars/<i>`; its children follow, each under the attribute's name; a
list or dictionary adds a level whose names are the children's classes in snake case, numbered.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.naming import to_snake_case
from engine.primitives.primitive import Array
from engine.saving import hdf5

if TYPE_CHECKING:
    import h5py

# Keras 2.13's name for what is "layers" since.
_FORMER_NAMES = {"layers": "_layer_checkpoint_dependencies"}


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

    def __init__(self, group: Any) -> None:
        self._group = group
        found = [] if group is None else hdf5.names(group)
        self._names = sorted(found, key=lambda name: (len(name), name))

    def __getitem__(self, name: str) -> Array:
        dataset = hdf5.child(self._group, name) if name in self._names else None
        if not hdf5.is_dataset(dataset):
            raise KeyError(f"the file has no variable {name!r} here")
        return hdf5.read_array(dataset)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def read_variables(
    file: h5py.File, root: Any, ignore: Sequence[str] = (), skip_mismatch: bool = False, restore: bool = False
) -> None:
    """Gives every object below `root` its variables from the file.

    Args:
        ignore: top-level groups whose contents may be left over (an optimizer's, when the model is not compiled).
        skip_mismatch: what does not fit is left as it is, with a warning.
        restore: in case of an error, all variables get back what they had (a copy is kept meanwhile).

    Raises:
        ValueError: lists everything that is missing, left over or of another shape.
    """
    problems: list[str] = []
    before: dict[str, dict[str, Array]] = {}
    leftover = {path for path, _ in hdf5.datasets(file)}
    for path, item in saveables(root):
        group, found = _find(file, f"{path}/vars")
        if path.split("/")[0] in ignore:
            continue
        if restore:
            item.save_own_variables(before.setdefault(path, {}))
        store = _Store(group)
        leftover.difference_update(f"{found}/{name}".lstrip("/") for name in store)
        try:
            item.load_own_variables(store)
        except (ValueError, KeyError) as error:
            name = getattr(item, "name", None) or type(item).__name__
            problems.append(f"{name!r} at {path or '/'}: {error.args[0] if error.args else error}")
    kept = sorted(name for name in leftover if name.split("/")[0] not in ignore)
    if kept:
        problems.append(f"the file has variables that the model has no place for: {', '.join(kept)}")
    if not problems:
        return
    message = (
        f"{len(problems)} mismatch{'es' if len(problems) > 1 else ''} between the model and the weights in the file:\n"
    )
    message += "\n".join(f"- {problem}" for problem in problems)
    if skip_mismatch:
        warnings.warn(message, stacklevel=4)
        return
    for path, item in saveables(root):
        if path in before:
            item.load_own_variables(before[path])
    raise ValueError(message)


def substance(file: h5py.File) -> int:
    """How many bytes of variables the file can fill."""
    return sum(hdf5.substance(dataset) for _, dataset in hdf5.datasets(file))


def _find(file: h5py.File, path: str) -> tuple[Any, str]:
    """The group at a path, or where older Keras put it (None where there is no group); and the path found."""
    group = hdf5.descend(file, path)
    if group is None:
        former = "/".join(_FORMER_NAMES.get(part, part) for part in path.split("/"))
        group, path = hdf5.descend(file, former), former
    return (group if hdf5.is_group(group) else None), path
