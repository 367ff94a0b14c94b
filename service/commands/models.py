"""The commands around the model repository: models list, show, inspect, add, remove."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from service.commands.options import (
    LOGGING,
    MODELS,
    configure_logging,
    load_repository,
    load_settings,
    settings_options,
)
from service.commands.tables import columns, printable, size_text
from service.modes import MODES as MODES_OF_PIXELS
from service.repository import CHANNELS, MAX_SIDE, PRECISIONS

_SIZE = re.compile(r"(\d+)(?:[xX](\d+))?")


@click.group()
def models() -> None:
    """Look at the model repository and at model files, add and remove models."""


@models.command("list")
@settings_options(MODELS)
def list_models(**flags: Any) -> None:
    """List the served models, a version a line."""
    repository = load_repository(load_settings(flags))
    rows = [("MODEL", "VERSION", "INPUT", "LABELS", "PRECISION", "SIZE", "")]
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
                size_text(served.model_path.stat().st_size) if served.model_path.is_file() else "no file",
                "default" if default else "",
            )
        )
    for line in columns(rows):
        click.echo(line)


@models.command()
@click.argument("name")
@click.option("--version", metavar="N", help="Version; without it the highest.")
@settings_options(MODELS)
def show(name: str, version: str | None, **flags: Any) -> None:
    """Show all that is known of a served model."""
    from service.commands.showing import facts
    from service.errors import ServiceError

    repository = load_repository(load_settings(flags))
    try:
        served = repository.get(name, version)
    except ServiceError as error:
        raise click.UsageError(f"NAME: {error.message}") from error
    for line in columns([(key, printable(value)) for key, value in facts(served)]):
        click.echo(line)


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def inspect(file: Path, as_json: bool) -> None:
    """Tell what a model file holds, and whether it is supported; nothing is built.

    Takes .keras, .h5 and .onnx files. Exit status: 0 supported, 1 not supported, 2 wrong usage, or no such file.
    """
    from engine.inspection import inspect_file
    from service.commands.inspection import report_json, report_lines

    try:
        report = inspect_file(file)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise _UnreadableError(printable(_reason(error, file))) from error
    for line in [report_json(report)] if as_json else report_lines(report):
        click.echo(line)
    sys.exit(0 if report.supported else 1)


class _UnreadableError(click.ClickException):
    exit_code = 2


def _reason(error: Exception, file: Path) -> str:
    """One sentence that names the file."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text if str(file) in text else f"{file}: {text}"


class _Size(click.ParamType):
    """`N`, or `WIDTHxHEIGHT`, in pixels."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        match = _SIZE.fullmatch(str(value))
        sides = () if match is None else (int(match[1]), int(match[2] or match[1]))
        if not sides or not all(1 <= side <= MAX_SIDE for side in sides):
            self.fail(f"expected N or WIDTHxHEIGHT in pixels, 1 to {MAX_SIDE}, got {value!r}", param, ctx)
        return sides


@models.command("add")
@click.argument("architecture", metavar="FILE_OR_ARCHITECTURE")
@click.option("--weights", default="imagenet", metavar="imagenet|random|FILE",
              help="Weights of a well-known network.  [default: imagenet]")  # fmt: skip
@click.option("--labels", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="Labels, one a line, or Keras's class index in JSON; without it ImageNet's, or what is found in "
                   "the model file or beside it.")  # fmt: skip
@click.option("--name", default="", metavar="NAME", help="Name in the repository; without it the architecture's or "
                                                         "the file's.")  # fmt: skip
@click.option("--version", default="1", metavar="N", help="Version in the repository.  [default: 1]")
@click.option("--preprocess", type=click.Choice(MODES_OF_PIXELS),
              help="How a model file wants its pixels: as one of keras.applications' modes, divided by 255 (scale), or "
                   "from 0 to 255 (none); without it guessed.")  # fmt: skip
@click.option("--size", type=_Size(), metavar="N|WxH",
              help="Pixels of a model file's images, where it leaves them free.  [default: 224]")  # fmt: skip
@click.option("--color", type=click.Choice(tuple(CHANNELS)), help="Channels of a model file's images; without it "
                                                                  "guessed.")  # fmt: skip
@click.option("--crop/--no-crop", default=None,
              help="Cut images to the model's shape, or stretch them.  [default: crop]")  # fmt: skip
@click.option("--precision", type=click.Choice(PRECISIONS), default=PRECISIONS[0], help="What it computes in.")
@click.option("--calibration", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Folder of images like those to come; int8 needs it.")  # fmt: skip
@click.option("--max-batch", type=click.IntRange(1, 1024), default=8, metavar="N", help="Most images of one batch.")
@click.option("--force", is_flag=True, help="Replace the version that is there.")
@settings_options({"model_repository", "threads"} | LOGGING)
def add_to_models(architecture: str, force: bool, **options: Any) -> None:
    """Add a model file (.keras, .h5, .onnx), or a well-known network such as resnet50, to the model repository.

    A network's weights, ImageNet's labels and the right preprocessing come with it. What a file does not say is
    guessed, and told. A trial run comes before anything is written. Exit status: 0 it was added, 1 it could not be,
    2 wrong usage.
    """
    flags = {name: options.pop(name) for name in ("model_repository", "threads", *LOGGING)}
    settings = load_settings(flags)
    configure_logging(settings)
    from service.adding import AddError, Order, add_model
    from service.architectures import UnknownArchitectureError

    order = Order(architecture, replace=force, **options)
    try:
        added = add_model(settings.model_repository, order, settings.threads)
    except UnknownArchitectureError as error:
        raise click.UsageError(f"ARCHITECTURE: {error}; or the path of a model file") from error
    except AddError as error:
        raise click.ClickException(printable(str(error))) from error
    served = added.served
    click.echo(f"Added {served.name} version {served.version} in {served.folder}:")
    click.echo(f"  {served.width}x{served.height} {served.color}, {len(served.labels)} labels, {added.precision}, "
               f"{added.size_bytes / 1e6:.1f} MB, batches of up to {served.max_batch}")  # fmt: skip
    for line in (*added.decisions, *added.notes):
        click.echo(f"  {printable(str(line))}")


def asks() -> bool:
    """Whether somebody can be asked: the standard input is a terminal."""
    return sys.stdin.isatty()


@models.command()
@click.argument("name")
@click.option("--version", metavar="N", help="Version; without it all of them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@settings_options({"model_repository"})
def remove(name: str, version: str | None, yes: bool, **flags: Any) -> None:
    """Remove a model, or one version of it, from the model repository.

    Exit status: 0 it was removed, 1 it was not, 2 wrong usage.
    """
    from service.removal import RemoveError, find_removable, remove_models

    repository = load_settings(flags).model_repository
    try:
        found = find_removable(repository, name, version)
        if not yes:
            if not asks():
                raise click.UsageError(f"nobody can be asked here: --yes removes {found.text} without asking")
            click.confirm(f"Remove {found.text} from {repository}?", abort=True)
        left = remove_models(found)
    except RemoveError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Removed {found.text} from {repository}.")
    click.echo("A running `beagle serve` still has it, until a worker of it is replaced: restart it.")
    if not left:
        click.echo("The repository holds no model any more: nothing can be served from it.")
