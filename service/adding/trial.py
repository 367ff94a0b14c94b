"""The trial run of a version before it is put in its place."""

from __future__ import annotations

from service.adding.order import AddError
from service.classifier import Classifier, ClassifierError, EngineLoader, Session
from service.repository import ServedModel


def try_served(served: ServedModel, threads: int) -> str:
    """Load the model as a worker does and run it once.

    Returns:
        The precision in use.

    Raises:
        AddError: it cannot be loaded, or does not fit its serving.toml.
    """
    sessions: list[Session] = []

    def load(served: ServedModel) -> Session:
        sessions.append(EngineLoader(threads)(served))
        return sessions[0]

    try:
        Classifier(served, load)
    except ClassifierError as error:
        raise AddError(f"the trial run failed: {error}") from error
    return str(getattr(sessions[0], "precision", served.precision))
