"""The command `beagle`: serve, web, worker, predict, models list, models add.

It imports little at the top, so that `--help` and wrong flags answer at once; a command loads what it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from service.repository import PRECISIONS
from service.settings import SETTINGS, Setting, Settings, SettingsError

if TYPE_CHECKING:
    from service.classifier import Classifier
    from service.repository import ModelRepository

DISTRIBUTION = "beagle-serve"

Command = TypeVar("Command", bound=Callable[..., Any])

_MODELS = {"model_repository", "models", "default_model"}
_LOGGING = {"log_level", "log_format"}
_LOCAL = _MODELS | _LOGGING | {"threads", "max_image_bytes", "max_pixels"}
_WORKER = _MODELS | _LOGGING | {"workers", "threads", "redis_url"}
_WEB = {setting.name for setting in SETTINGS} - {"workers", "threads", "redis_server"}
_SERVE = {setting.name for setting in SETTINGS}


class _SettingType(click.ParamType):
    """Checks a flag as the table of settings says."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.name = setting.metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.setting.parse(value)
        except SettingsError as error:
            raise click.UsageError(str(error), ctx) from error


def _settings_options(names: set[str]) -> Callable[[Command], Command]:
    """Give a command the flags of these settings, in the order of the table."""

    def decorate(command: Command) -> Command:
        for setting in reversed(SETTINGS):
            if setting.name in names:
                variables = ", ".join(setting.environ)
                default = setting.default_text or "none"
                command = click.option(
                    setting.flag,
                    setting.name,
                    type=_SettingType(setting),
                    metavar=setting.metavar,
                    help=f"{setting.help}  [{variables}; default: {default}]",
                )(command)
        return command

    return decorate


def _load_settings(flags: dict[str, Any]) -> Settings:
    try:
        return Settings.load(os.environ, **flags)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def _load_queue_settings(flags: dict[str, Any]) -> Settings:
    """Settings of a command that goes to the queue; nothing is connected yet."""
    from service.broker import connect

    settings = _load_settings(flags)
    try:
        connect(settings.connection_url)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return settings


def _load_repository(settings: Settings) -> ModelRepository:
    from service.images import require_steps
    from service.repository import ModelRepository, RepositoryError

    try:
        repository = ModelRepository(
            settings.model_repository, models=settings.models, default_model=settings.default_model
        )
        require_steps(repository)
    except RepositoryError as error:
        raise click.ClickException(str(error)) from error
    return repository


def _configure_logging(settings: Settings) -> None:
    from service.telemetry import configure_logging

    configure_logging(settings.log_level, settings.log_format)


def _print_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version(DISTRIBUTION)
        except PackageNotFoundError:
            number = "(from a source folder, not installed)"
        click.echo(f"beagle {number}")
        ctx.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
def main() -> None:
    """Classify images over HTTP.

    Every setting of a command is a flag and an environment variable; the flag wins.
    """


@main.command()
@_settings_options(_SERVE)
def serve(**flags: Any) -> None:
    """Run everything: queue server, web processes, inference workers.

    With a Redis URL that server is used and none is started.
    """
    settings = _load_queue_settings(flags)
    _load_repository(settings)
    _configure_logging(settings)
    from service import serve as parts
    from service.embedded import ServerStartError

    try:
        status = parts.serve(settings)
    except (parts.ServeError, ServerStartError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(status)


@main.command()
@_settings_options(_WEB)
def web(**flags: Any) -> None:
    """Run web processes alone, against a Redis that workers share."""
    settings = _load_queue_settings(flags)
    _load_repository(settings)
    from service.serve import ServeError, listen

    try:  # here, since gunicorn tries for seconds to get a port in use
        listener = listen(settings.host, settings.port)
    except ServeError as error:
        raise click.ClickException(str(error)) from error
    # In place of this process, so that signals and the exit status are the web server's own.
    command = [sys.executable, "-m", "service.web", "--fd", str(listener.fileno())]
    os.execve(sys.executable, command, {**os.environ, **settings.to_environ()})


@main.command()
@_settings_options(_WORKER)
def worker(**flags: Any) -> None:
    """Run inference workers alone, against a Redis that web processes share."""
    settings = _load_queue_settings(flags)
    if settings.workers < 1:
        raise click.UsageError("--workers: expected a whole number, 1 or more, got 0")
    _load_repository(settings)
    _configure_logging(settings)
    from service import serve as parts

    sys.exit(parts.work(settings))


@main.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME[/VERSION]", help="Model to use; without it the default model.")
@click.option("--top-k", type=click.IntRange(1), metavar="N", help="How many predictions; else the model's.")
@_settings_options(_LOCAL)
def predict(images: tuple[Path, ...], model: str | None, top_k: int | None, **flags: Any) -> None:
    """Classify image files here, without a server.

    Exit status: 0 all were classified, 1 some were not, 2 wrong usage.
    """
    settings = _load_settings(flags)
    repository = _load_repository(settings)
    _configure_logging(settings)
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


@main.group()
def models() -> None:
    """Look at the model repository, and add to it."""


@models.command("list")
@_settings_options(_MODELS)
def list_models(**flags: Any) -> None:
    """List the served models, a version a line."""
    repository = _load_repository(_load_settings(flags))
    rows = [("MODEL", "VERSION", "INPUT", "LABELS", "PRECISION", "")]
    for served in repository:
        newest = served is repository.get(served.name)
        default = newest and served.name == repository.default_name
        rows.append(
            (
                served.name,
                served.version,
                f"{served.width}x{served.height} {served.color}",
                str(len(served.labels)),
                served.precision,
                "default" if default else "",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


@models.command("add")
@click.argument("architecture")
@click.option("--weights", default="imagenet", metavar="imagenet|random|FILE", help="Weights.  [default: imagenet]")
@click.option("--labels", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="Labels, one a line, or Keras's class index in JSON; without it ImageNet's.")  # fmt: skip
@click.option("--name", default="", metavar="NAME", help="Name in the repository; without it the architecture's.")
@click.option("--version", default="1", metavar="N", help="Version in the repository.  [default: 1]")
@click.option("--precision", type=click.Choice(PRECISIONS), default=PRECISIONS[0], help="What it computes in.")
@click.option("--calibration", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Folder of images like those to come; int8 needs it.")  # fmt: skip
@click.option("--max-batch", type=click.IntRange(1, 1024), default=8, metavar="N", help="Most images of one batch.")
@click.option("--force", is_flag=True, help="Replace the version that is there.")
@_settings_options({"model_repository", "threads"} | _LOGGING)
def add_to_models(architecture: str, force: bool, **options: Any) -> None:
    """Add a well-known network, such as resnet50, to the model repository.

    Its weights, ImageNet's labels and the right preprocessing come with it. Exit status: 0 it was added, 1 it could
    not be, 2 wrong usage.
    """
    flags = {name: options.pop(name) for name in ("model_repository", "threads", *_LOGGING)}
    settings = _load_settings(flags)
    _configure_logging(settings)
    from service.adding import AddError, Order, add_model
    from service.architectures import UnknownArchitectureError

    order = Order(architecture, replace=force, **options)
    try:
        added = add_model(settings.model_repository, order, settings.threads)
    except UnknownArchitectureError as error:
        raise click.UsageError(f"ARCHITECTURE: {error}") from error
    except AddError as error:
        raise click.ClickException(str(error)) from error
    served = added.served
    click.echo(f"Added {served.name} version {served.version} in {served.folder}:")
    click.echo(f"  {served.width}x{served.height} {served.color}, {len(served.labels)} labels, {added.precision}, "
               f"{added.size_bytes / 1e6:.1f} MB, batches of up to {served.max_batch}")  # fmt: skip
    for note in added.notes:
        click.echo(f"  {note}")


if __name__ == "__main__":
    main()
