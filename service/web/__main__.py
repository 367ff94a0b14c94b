"""`python -m service.web [--fd N]`: the web processes, with settings from the environment."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from service.repository import ModelRepository, RepositoryError
from service.settings import Settings, SettingsError
from service.telemetry import configure_logging
from service.web.gunicorn_app import WebServer

WRONG_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; returns 2 when the settings or the model repository are wrong."""
    parser = argparse.ArgumentParser(prog="python -m service.web", description=__doc__)
    parser.add_argument("--fd", type=int, help="number of an inherited listening socket")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.load(os.environ)
        # Read here as well, so that a mistake is one sentence and not a crash of every process.
        ModelRepository(settings.model_repository, models=settings.models, default_model=settings.default_model)
    except (SettingsError, RepositoryError) as error:
        print(f"beagle web: {error}", file=sys.stderr)
        return WRONG_USAGE
    configure_logging(settings.log_level, settings.log_format)
    WebServer(settings, options.fd).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
