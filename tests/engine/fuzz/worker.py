"""The process in which files are read: `python -m tests.engine.fuzz.worker FOLDER`.

It takes lines "reader<TAB>path" and answers each with a line of JSON. More memory than allowed is not to be had; more
time ends the process, in whatever code it is.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import resource
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

import numpy as np

SECONDS = 5.0
"""Of computing that one file may take."""
MEMORY = 1 << 30
"""Bytes that reading may take beyond what the process has when it begins."""


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _warm_up() -> None:
    """Loads the libraries that computing needs, which loading a model may do at its first constant."""
    import h5py  # noqa: F401  asks for the processor's name
    import yaml  # noqa: F401

    from engine import ops

    ones = np.ones((1, 4, 4, 1), np.float32)
    ops.matmul(ops.conv(ones, np.ones((2, 2, 1, 1), np.float32)), np.ones((1, 1), np.float32))


def main(folder: Path) -> None:
    from tests.engine.fuzz import readers
    from tests.engine.fuzz.guard import Guard

    _warm_up()
    guard = Guard(folder)
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)  # says where the time went, and then the process ends
    _limit_memory()
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    for line in sys.stdin:
        reader, _, path = line.rstrip("\n").partition("\t")
        started = time.process_time()
        threads = threading.active_count()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        guard.violations.clear()
        guard.armed = True
        try:
            outcome, said = readers.answer(reader, Path(path))
        except BaseException:  # whatever it is, it is what is looked for
            guard.armed = False
            outcome, said = "wrong", traceback.format_exc(limit=-12)[-4000:]
        finally:
            guard.armed = False
            signal.setitimer(signal.ITIMER_PROF, 0)
        if guard.violations:
            outcome, said = "wrong", "; ".join(guard.violations)
        elif threading.active_count() > threads:
            outcome, said = "wrong", "it left a thread behind"
        print(json.dumps([outcome, said, round(time.process_time() - started, 3)]), flush=True)
        gc.collect()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
