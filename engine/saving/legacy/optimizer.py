"""The state of optimizers in old files.

Keras 3 lists an optimizer's variables as ours does. Before, the learning rate was not among them, and slots lay by kind
("m" of all variables, then "v" of all), by variable, or in blocks of either; their names tell the kinds where
TensorFlow made them, and the oldest files have no names that say anything, but the kinds in one order.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.saving import hdf5
from engine.saving.legacy.container import saved_layer

if TYPE_CHECKING:
    import h5py

    from engine.saving.tree import Contents
    from engine.variable import Variable

logger = logging.getLogger("engine")

GROUP = "optimizer_weights"

_Weights = list[tuple[str, "h5py.Dataset"]]

# What kinds of slots were called, and what they are called here (the first that an optimizer has).
_KINDS: dict[str, tuple[str, ...]] = {
    "accum_grad": ("accumulated_grad",),
    "accum_var": ("accumulated_delta_var",),
    "accumulated_delta_var": ("accumulated_delta_var",),
    "accumulated_grad": ("accumulated_grad",),
    "accumulator": ("accumulator",),
    "average": ("average",),
    "average_gradient": ("average_gradient",),
    "linear": ("linear",),
    "m": ("momentum",),
    "mg": ("average_gradient",),
    "momentum": ("momentum",),
    "rms": ("velocity",),
    "u": ("norm",),
    "v": ("velocity", "norm"),
    "velocity": ("velocity",),
    "vhat": ("velocity_hat",),
}
_PRODUCTS = ("momentum_cache",)  # of Nadam


def read_optimizer(file: h5py.File, optimizer: Any, version: tuple[int, int]) -> None:
    """Gives a built optimizer the state in the file; warns of what is left fresh or left over.

    Raises:
        ValueError: the file is damaged.
    """
    if hdf5.child(file, GROUP) is None:
        return
    saved = saved_layer(file, GROUP).weights
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    exact = list(optimizer.variables)
    if version >= (3, 0) and _fits(exact, saved):
        _assign([(variable, dataset) for variable, (_, dataset) in zip(exact, saved, strict=True)])
        return
    pairs = _paired(inner, saved, version)
    if pairs is None:
        logger.warning(
            "Optimizer %r has %d variables, the file %d or others: its state is not loaded.",
            optimizer.name,
            len(exact),
            len(saved),
        )
        return
    _assign(pairs)
    given = {id(variable) for variable, _ in pairs}
    missing = [
        variable.name
        for variable in inner.variables
        if id(variable) not in given and variable.name not in ("iteration", "learning_rate")
    ]
    used = {dataset.name for _, dataset in pairs}
    left = [name for name, dataset in saved if dataset.name not in used]
    for what, names in (("does not know of the file's", left), ("finds in the file no", missing)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            logger.warning("Optimizer %r %s %s%s.", optimizer.name, what, ", ".join(names[:3]), more)


def read_numbered_optimizer(contents: Contents, optimizer: Any, exact: bool = False) -> None:
    """Gives a built optimizer the state in an archive or a weights file, whose variables are numbered: the counter,
    then slots in the order of Keras 3; Keras 2 left the learning rate and the product of Nadam out. Warns of what does
    not fit.

    Args:
        exact: whether the file may be of another optimizer, so that one that has more variables fits no better than one
            that has fewer.

    Raises:
        ValueError: the file is damaged.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for path in ("optimizer/vars", "optimizer/inner_optimizer/vars"):
        store, _ = contents.store(path)
        values = list(store.values())
        every = list(inner.variables)
        slots = [item for group in _slots(inner).values() for item in group]
        singles = [item for item in every[1:] if item.shape == () and not any(item is slot for slot in slots)]
        for variables in (every, [item for item in every if not any(item is other for other in singles)]):
            known = values if exact else values[: len(variables)]
            if [item.shape for item in variables] == [value.shape for value in known]:
                for variable, value in zip(variables, values, strict=False):
                    variable.assign(value)
                if len(values) > len(variables):
                    logger.warning(
                        "Optimizer %r has no use for %d of the %d variables in the file.",
                        optimizer.name,
                        len(values) - len(variables),
                        len(values),
                    )
                return
    logger.warning("The file has no state that fits optimizer %r: it begins afresh.", optimizer.name)


def _fits(variables: list[Variable], saved: _Weights) -> bool:
    return [variable.shape for variable in variables] == [hdf5.shape(dataset) for _, dataset in saved]


def _assign(pairs: list[tuple[Variable, Any]]) -> None:
    for variable, dataset in pairs:
        variable.assign(np.asarray(hdf5.read_array(dataset)))


def _paired(optimizer: Any, saved: _Weights, version: tuple[int, int]) -> list[tuple[Variable, Any]] | None:
    """The variables that the file has values for, each with its dataset; None where the file is another optimizer's."""
    slots = _slots(optimizer)
    rest = list(saved)
    pairs: list[tuple[Variable, Any]] = []
    singles = {variable.name: variable for variable in optimizer.variables if variable.shape == ()}
    while rest and hdf5.shape(rest[0][1]) == () and _kind(rest[0][0]) is None:  # slots of single numbers have a kind
        name, dataset = rest.pop(0)
        last = re.sub(r"(_\d+)?(:\d+)?$", "", name.rsplit("/", 1)[-1])
        known = "learning_rate" if last.endswith("learning_rate") else "iteration"
        if last in _PRODUCTS:
            known = next((other for other in singles if other not in ("iteration", "learning_rate")), last)
        if known in singles:
            pairs.append((singles[known], dataset))
    # Keras 1 sorted the variables by names that say nothing of the slots' order now.
    by_kind = _named(rest, slots)
    if by_kind is None and version >= (2, 0):
        by_kind = _unnamed(rest, slots, optimizer)
    if by_kind is None or (slots and not rest):
        return None
    for kind, datasets in by_kind.items():
        variables = slots[kind]
        if [variable.shape for variable in variables] != [hdf5.shape(dataset) for dataset in datasets]:
            return None
        pairs += zip(variables, datasets, strict=True)
    return pairs


def _slots(optimizer: Any) -> dict[str, list[Variable]]:
    """Our slots by kind, in the order of the variables that they belong to."""
    kinds = sorted({kind for names in _KINDS.values() for kind in names} | {"gradient_accumulator"}, key=len)[::-1]
    found: dict[str, list[Variable]] = {}
    for variable in optimizer.variables:
        kind = next((kind for kind in kinds if variable.name.endswith(f"_{kind}")), None)
        if kind is not None:
            found.setdefault(kind, []).append(variable)
    return found


def _named(saved: _Weights, slots: dict[str, list[Variable]]) -> dict[str, list[Any]] | None:
    """Datasets by our kinds, where their names tell; None where one's does not. Of no slots at all there is none."""
    found: dict[str, list[Any]] = {}
    for name, dataset in saved:
        kind = _kind(name)
        if kind is None:
            return None
        ours = next((known for known in _KINDS[kind] if known in slots), None)
        if ours is not None:
            found.setdefault(ours, []).append(dataset)
    return found if found or not saved else None


def _kind(name: str) -> str | None:
    """The kind in a slot's name: its end ("Adam/dense/kernel/m:0"), or what comes after the optimizer's name or first
    ("Adam/m/dense/kernel:0")."""
    parts = re.sub(r":\d+$", "", name).split("/")
    last = re.sub(r"_\d+$", "", parts[-1])
    return next((part for part in (last, *parts[:2]) if part in _KINDS), None)


def _unnamed(saved: _Weights, slots: dict[str, list[Variable]], optimizer: Any) -> dict[str, list[Any]] | None:
    """Datasets in blocks, one for each kind; blocks of kinds that ours does not have at the end are left over."""
    count = len(optimizer._trainable_variables)
    if not count or len(saved) % count or len(saved) < count * len(slots):
        return None
    datasets = [dataset for _, dataset in saved]
    return {kind: datasets[number * count : (number + 1) * count] for number, kind in enumerate(slots)}
