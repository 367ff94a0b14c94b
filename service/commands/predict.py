"""The command that classifies image files here, without a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.commands.options import (
    LOGGING,
    MODELS,
    configure_logging,
    load_repository,
    load_settings,
    settings_options,
)
from service.settings import Settings

if TYPE_CHECKING:
    from service.classifier import Classifier

_LOCAL = MODELS | LOGGING | {"threads", "max_image_bytes", "max_pixels"}


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME[/VERSION]", help="Model to use; without it the default model.")
@click.option("--top-k", type=click.IntRange(1), metavar="N", help="How many predictions; else the model's.")
@settings_options(_LOCAL)
def predict(images: tuple[Path, ...], model: str | None, top_k: int | None, **flags: Any) -> None:
    """Classify image files here, without a server.

    Exit status: 0 all were classified, 1 some were not, 2 wrong usage.
    """
    settings = load_settings(flags)
    repository = load_repository(settings)
    configure_logging(settings)
    from service.classifier import Classifier, ClassifierError, EngineLoader
    from service.errors import ServiceError

    name, _, version = (model or "").partition("/")
    try:
        served = repository.get(name or None, version or None)
    except ServiceError as error:
        raise click.UsageError(f"--model: {error.message}") from error
    if top_k is not None and top_k > len(served.labels):
        raise click.UsageError(f"--top-k: expected 1 to {len(served.labels)} (labels), got {top_k}")
    try:
        classifier = Classifier(served, EngineLoader(settings.threads))
    except ClassifierError as error:
        raise click.ClickException(str(error)) from error
    failed = False
    for path in images:
        try:
            lines = _predict_file(path, classifier, settings, top_k or served.top_k)
        except Exception as error:  # whatever one file does to decoder or model, the others get their turn
            failed = True
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)
            click.echo(f"{path}: {reason}", err=True)
            continue
        if len(images) > 1:
            click.echo(f"{path}:")
        for line in lines:
            click.echo(line)
    sys.exit(1 if failed else 0)


def _predict_file(path: Path, classifier: Classifier, settings: Settings, top_k: int) -> list[str]:
    """Lines such as `1. 7: 0.9993`; the file goes the way of an upload, through web and worker."""
    import json

    import numpy as np

    from service.batching import decode_payload
    from service.errors import ServiceError
    from service.images import ImageLimits, encode_payload, open_image, prepare_image

    limits = ImageLimits(settings.max_image_bytes, settings.max_pixels)
    served = classifier.served
    prepared = prepare_image(open_image(path.read_bytes(), limits), served, limits)
    batch = np.empty((1, *served.shape), np.uint8)
    decode_payload(encode_payload(prepared, served, top_k), batch[0])
    [answer] = classifier.classify(classifier.preprocess(batch), [top_k])
    result = json.loads(answer)
    if not result["success"]:
        raise ServiceError(result["error"]["code"], result["error"]["message"])
    return [
        f"{rank}. {prediction['label']}: {prediction['probability']:.4f}"
        for rank, prediction in enumerate(result["predictions"], start=1)
    ]
