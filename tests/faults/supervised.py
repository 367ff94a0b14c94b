"""`beagle worker`, or with the argument `serve` `beagle serve`, with numbered workers in place of the engine's."""

from __future__ import annotations

import os
import sys

from service import serve
from service.settings import Settings
from service.telemetry import configure_logging
from tests.faults import numbered_worker

if __name__ == "__main__":
    configure_logging("info", "text")
    run = serve.serve if "serve" in sys.argv else serve.work
    sys.exit(run(Settings.load(os.environ), [sys.executable, "-m", numbered_worker.__name__]))
