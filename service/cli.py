"""The command `beagle`: serve, web, worker, predict, models.

It imports little at the top, so that `--help` and wrong flags answer at once; a command loads what it runs.
"""

from __future__ import annotations

import click

from service.commands.models import models
from service.commands.predict import predict
from service.commands.running import serve, web, worker

DISTRIBUTION = "beagle-serve"


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


for command in (serve, web, worker, predict, models):
    main.add_command(command)


if __name__ == "__main__":
    main()
