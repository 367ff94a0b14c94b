"""Learns the labels of image files from the service's own first answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from clients.load.ledger import Ledger
from clients.load.load import run
from clients.load.pictures import FilePictures, Picture
from clients.load.plan import Plan

ANSWERS = 3
"""So many answers for each image must agree."""


class DisagreementError(RuntimeError):
    """The first answers for an image were not all predictions, or not all the same."""


def with_labels(plan: Plan, pictures: Sequence[Picture]) -> list[Picture]:
    """Return the pictures with the labels that the service gives them, asked one by one in the plan's way.

    Raises:
        DisagreementError: it gave one of them no label, or several.
    """
    ledger = Ledger()
    run(
        replace(
            plan,
            pictures=FilePictures(pictures),
            clients=1,
            rate=0.0,
            requests=ANSWERS * len(pictures),
            warm_up_s=0.0,
            duration_s=math.inf,
            hang_up_share=0.0,
            malformed_share=0.0,
        ),
        ledger,
    )
    answers: dict[int | str, list[str]] = {picture.name: [] for picture in pictures}
    labels: dict[int | str, set[str | None]] = {picture.name: set() for picture in pictures}
    for row in ledger.rows():
        labels[row.picture].add(row.label if row.status == 200 else None)
        came = f"{row.status} {row.label or row.code}" if row.status else row.ending.name.lower().replace("_", " ")
        answers[row.picture].append(came)
    learned = []
    for picture in pictures:
        label = next(iter(labels[picture.name])) if len(labels[picture.name]) == 1 else None
        if label is None:
            raise DisagreementError(
                f"{picture.name}: expected {ANSWERS} equal answers first, got {', '.join(answers[picture.name])}"
            )
        learned.append(picture._replace(label=label))
    return learned
