"""A new version of a model in the repository: made, described, tried, and put in its place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from service.adding.calibration import calibrate_served, check_calibration
from service.adding.candidate import Candidate
from service.adding.description import write_description
from service.adding.model_file import as_model_file, check_file_order, default_name, read_candidate
from service.adding.order import MODEL_FILE, Added, AddError, Order
from service.adding.place import check_place, new_folder
from service.adding.trial import try_served
from service.adding.well_known import build_network, find_network
from service.repository import DESCRIPTION_FILE, read_served_model


def add_model(repository: Path, order: Order, threads: int = 0) -> Added:
    """Add a model to a repository; the folder is made where it is absent.

    Args:
        repository: The folder. threads: Of the engine, for the trial; 0 takes what the machine grants.

    Raises:
        UnknownArchitectureError: it is no file, and no network has that name.
        AddError: the place is taken or no place, weights, labels or images cannot be had, the file is no image
            classifier that the engine can run, or the trial failed.
    """
    make: Callable[[], Candidate]
    path = as_model_file(order.architecture)
    if path is None:
        network = find_network(order)
        name = order.name or network.name
        make = partial(build_network, network, order)
    else:
        check_file_order(path, order)
        name = order.name or default_name(path)
        make = partial(read_candidate, path, order)
    place = check_place(repository, name, order.version, replace=order.replace)
    check_calibration(order)
    try:
        return _add(make, order, name, place, threads)
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        raise AddError(str(error)) from error


def _add(make: Callable[[], Candidate], order: Order, name: str, place: Path, threads: int) -> Added:
    """Fill and try the version's folder, and put it in its place."""
    candidate = make()
    notes, decisions = list(candidate.notes), candidate.decisions
    with new_folder(place) as folder:
        candidate.model.save(folder / MODEL_FILE)
        write_description(folder, order, candidate)
        served = read_served_model(folder / DESCRIPTION_FILE, name=name, version=order.version)
        if order.calibration is not None:
            notes += calibrate_served(served, candidate.model, order.calibration)
        del candidate  # the trial loads the model anew, as a worker will
        precision = try_served(served, threads)
    served = read_served_model(place / DESCRIPTION_FILE, name=name, version=order.version)
    if precision != order.precision:
        notes.append(
            f"This CPU has no fast instructions for {order.precision}: here the model computes in {precision}."
        )
    return Added(served, served.model_path.stat().st_size, precision, tuple(notes), decisions)
