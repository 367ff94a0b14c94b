"""A worker is alive when it makes progress: one that hangs, wherever it does, ends itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.watchdog import HUNG
from tests.service.processes import python, running

HANGING = """
import threading
from tests.service.local_queue import MODEL, Queue, Session
from service.telemetry import configure_logging
from service.worker import Worker

class Hanging(Queue):
    def {method}(self, *arguments, **options):
        if {condition}:
            threading.Event().wait()
        return super().{method}(*arguments, **options)

configure_logging("info", "text")
queue, session = Hanging(), Session(0.02)
queue.max_batch = 1
queue.submit(100)
worker = Worker(queue, [MODEL], load=lambda served: session, step_limit_s=0.3)
session.serving = True
worker.run()
"""


@pytest.mark.parametrize(
    ("method", "condition", "what"),
    [
        ("serve", "True", "announcing"),
        ("wait", "True", "waiting for jobs"),
        ("finish", "options['claim']", "handing in answers"),
        ("finish", "not options['claim']", "handing in answers"),
        ("claim", "options.get('ahead')", "claiming ahead"),
    ],
)
def test_a_call_to_the_queue_that_hangs_ends_the_process(
    tmp_path: Path, method: str, condition: str, what: str
) -> None:
    with running(python("-c", HANGING.format(method=method, condition=condition)), tmp_path) as process:
        assert process.wait() == HUNG
        assert "a thread hangs, the process ends" in process.err
        assert what in process.err


def test_a_thread_that_hangs_in_decoding_ends_the_process(tmp_path: Path) -> None:
    hangs = "import threading; import service.preparation as it; it.decode_batch = lambda *_: threading.Event().wait()"
    code = hangs + HANGING.format(method="wait", condition="False")
    with running(python("-c", code), tmp_path) as process:
        assert process.wait() == HUNG
        assert "what=decoding" in process.err
