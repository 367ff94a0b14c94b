"""The state of optimizers in old files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.saving import hdf5
from engine.saving.legacy.container import saved_layer

if TYPE_CHECKING:
    import h5py

logger = logging.getLogger("engine")

GROUP = "optimizer_weights"
INTERLEAVED_SINCE = (2, 11)
"""From here on the slots of a variable follow each other; before, those of one kind did."""


def read_optimizer(file: h5py.File, optimizer: Any, version: tuple[int, int]) -> None:
    """Gives a built optimizer the state in the file; warns and leaves it fresh where that is another optimizer's.

    Raises:
        ValueError: the file is damaged.
    """
    if hdf5.child(file, GROUP) is None:
        return
    datasets = [dataset for _, dataset in saved_layer(file, GROUP).weights]
    variables = list(optimizer.variables)
    counters = [variable for variable in variables[:2] if variable.name in ("iteration", "learning_rate")]
    slots = variables[len(counters) :]
    if version < INTERLEAVED_SINCE:
        slots = _by_kind(slots, optimizer)
        counters = counters[:1]  # the learning rate was part of the config alone
        if len(datasets) == len(slots):
            counters = []  # the first versions kept no count
    variables = [*counters, *slots]
    if [variable.shape for variable in variables] != [hdf5.shape(dataset) for dataset in datasets]:
        logger.warning(
            "Optimizer %r has %d variables, the file %d or others: its state is not loaded.",
            optimizer.name,
            len(variables),
            len(datasets),
        )
        return
    for variable, dataset in zip(variables, datasets, strict=True):
        variable.assign(np.asarray(hdf5.read_array(dataset)))


def _by_kind(slots: list[Any], optimizer: Any) -> list[Any]:
    """Slots of several kinds, those of one kind together: slots that alternate by variable, sorted out."""
    count = len(optimizer._trainable_variables)
    kinds = len(slots) // count if count else 0
    first = slots[:kinds]
    if kinds < 2 or len(slots) != kinds * count:
        return slots
    # Slots are named after their variable and their kind: where the first few are all of one variable, kinds alternate.
    reference = optimizer._trainable_variables[0].path.replace("/", "_")
    if not all(slot.name.startswith(f"{reference}_") for slot in first):
        return slots
    return [slots[variable * kinds + kind] for kind in range(kinds) for variable in range(count)]
