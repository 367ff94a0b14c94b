"""`beagle serve` with workers whose model does nothing."""

from __future__ import annotations

import os
import sys

from service.serve import serve
from service.settings import Settings
from service.telemetry import configure_logging
from tests.benchmarks.models import noop_worker

if __name__ == "__main__":
    configure_logging("warning", "text")
    sys.exit(serve(Settings.load(os.environ), [sys.executable, "-m", noop_worker.__name__]))
