"""The commands that serve until they are stopped: serve, web, worker."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from service.commands.options import (
    LOGGING,
    MODELS,
    configure_logging,
    load_queue_settings,
    load_repository,
    settings_options,
)
from service.settings import SETTINGS

_SERVE = {setting.name for setting in SETTINGS}
_WEB = _SERVE - {"workers", "threads", "redis_server"}
_WORKER = MODELS | LOGGING | {"workers", "threads", "redis_url"}


@click.command()
@settings_options(_SERVE)
def serve(**flags: Any) -> None:
    """Run everything: queue server, web processes, inference workers.

    With a Redis URL that server is used and none is started.
    """
    settings = load_queue_settings(flags)
    load_repository(settings)
    configure_logging(settings)
    from service import serve as parts
    from service.embedded import ServerStartError

    try:
        status = parts.serve(settings)
    except (parts.ServeError, ServerStartError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(status)


@click.command()
@settings_options(_WEB)
def web(**flags: Any) -> None:
    """Run web processes alone, against a Redis that workers share."""
    settings = load_queue_settings(flags)
    load_repository(settings)
    from service.serve import ServeError, listen

    try:  # here, since gunicorn tries for seconds to get a port in use
        listener = listen(settings.host, settings.port)
    except ServeError as error:
        raise click.ClickException(str(error)) from error
    # In place of this process, so that signals and the exit status are the web server's own.
    command = [sys.executable, "-m", "service.web", "--fd", str(listener.fileno())]
    os.execve(sys.executable, command, {**os.environ, **settings.to_environ()})


@click.command()
@settings_options(_WORKER)
def worker(**flags: Any) -> None:
    """Run inference workers alone, against a Redis that web processes share."""
    settings = load_queue_settings(flags)
    if settings.workers < 1:
        raise click.UsageError("--workers: expected a whole number, 1 or more, got 0")
    load_repository(settings)
    configure_logging(settings)
    from service import serve as parts

    sys.exit(parts.work(settings))
