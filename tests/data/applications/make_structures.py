"""Writes structures.json: what real Keras's applications are made of, for the tests that compare ours.

    python -m tests.data.applications.make_structures

Kept beside the models' sizes are fingerprints of all layers (name, class, weights, connections, shapes) and of the
weights' order, so that the tests need not build every model in Keras; and the files of weights that it would fetch.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.engine.applications.structures import CASES, FIXTURE, PUBLISHED, summary
from tests.engine.keras_reference import keras


class _FetchedError(Exception):
    """Stops Keras where it would download a file."""


def published(function: str, arguments: dict[str, Any]) -> list[Any]:
    """The address and the checksum (None: not checked) of the file that Keras would fetch."""

    def get_file(name: str, origin: str, cache_subdir: str, file_hash: str | None = None) -> None:
        raise _FetchedError(origin, file_hash)

    keras.src.utils.file_utils.get_file = get_file
    try:
        getattr(keras.applications, function)(weights="imagenet", **arguments)
    except _FetchedError as file:
        return list(file.args)
    raise RuntimeError(f"Keras fetched nothing for {function} with {arguments}")


def main() -> None:
    keras.initializers.VarianceScaling.__call__ = lambda self, shape, dtype=None: np.zeros(shape, dtype)
    found: dict[str, Any] = {}
    for case, (function, arguments) in CASES.items():
        keras.utils.clear_session()
        found[case] = summary(getattr(keras.applications, function)(weights=None, **arguments))
        print(case, found[case]["layers"], found[case]["parameters"], flush=True)
    files = []
    for function, arguments in PUBLISHED:
        keras.utils.clear_session()
        files.append([function, arguments, *published(function, arguments)])
        print(*files[-1], flush=True)
    content = {"models": found, "files": files}
    FIXTURE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
