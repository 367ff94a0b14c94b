"""`beagle serve`, or with the argument `worker` `beagle worker`, with marked workers in place of the engine's."""

from __future__ import annotations

import os
import sys

from service import serve
from service.settings import Settings
from service.telemetry import configure_logging
from tests.service import marked_worker

if __name__ == "__main__":
    configure_logging("info", "text")
    run = serve.work if "worker" in sys.argv else serve.serve
    sys.exit(run(Settings.load(os.environ), [sys.executable, "-m", marked_worker.__name__]))
