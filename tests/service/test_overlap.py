"""What the worker does while its model computes: claims the next batch, late, and with no suspect about."""

from __future__ import annotations

import threading
import time
from statistics import median
from typing import Any, cast

import pytest

from service.broker import WorkerBroker
from service.worker import Worker
from tests.service.local_queue import MODEL, Queue, Session
from tests.service.processes import eventually

pytestmark = pytest.mark.alone


class Working:
    """A worker in a thread, until the block ends."""

    def __init__(self, queue: Queue, session: Session) -> None:
        self.worker = Worker(cast(WorkerBroker, queue), [MODEL], load=lambda served: session)
        session.serving = True
        self._thread = threading.Thread(target=self.worker.run, name="computing")

    def __enter__(self) -> Working:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.worker.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_while_a_model_computes_the_next_batch_is_claimed_by_the_second_thread(queue: Queue) -> None:
    def meanwhile(run: int) -> None:
        if 1 <= run < 8:  # its pace is known: computing ends only when the next batch was claimed
            eventually(lambda: len(queue.claims) == run + 2, "the next batch is claimed")

    queue.max_batch = 1
    session = Session(0.02, meanwhile)
    with Working(queue, session):
        queue.submit(9)
        eventually(lambda: len(queue.answered) == 9, "all are answered")
    assert [(claim.ahead, claim.thread) for claim in queue.claims[2:]] == [(True, "lookahead")] * 7
    assert [queue.answered[str(n)] for n in range(1, 8)] == ["lookahead"] * 7
    assert queue.answered["8"] == "computing", "the last one has nothing to overlap with"


def test_a_batch_claimed_ahead_holds_what_came_during_the_first_part_of_computing(queue: Queue) -> None:
    session = Session(0.06, lambda run: queue.submit(8) if run < 8 else None)
    with Working(queue, session):
        queue.submit(8)
        eventually(lambda: len(queue.answered) == 72, "all are answered")
    assert [size for *_, size in session.runs] == [8] * 9
    assert any(claim.ahead for claim in queue.claims)


def test_once_the_pace_is_known_the_next_batch_is_claimed_towards_the_end(queue: Queue) -> None:
    queue.max_batch = 1
    session = Session(0.04)
    with Working(queue, session):
        queue.submit(20)
        eventually(lambda: len(queue.answered) == 20, "all are answered")
    shares = [
        (claim.at - began) / (ended - began)
        for claim, (began, ended, _) in zip(queue.claims[1:], session.runs[:-1], strict=True)
        if claim.ahead
    ]
    assert median(shares[-10:]) > 0.5


def test_a_fast_model_is_served_by_one_thread_and_one_call_a_batch(queue: Queue) -> None:
    with Working(queue, Session(0.0)):
        queue.submit(100)
        eventually(lambda: len(queue.answered) == 100, "all are answered")
        assert "lookahead" not in [thread.name for thread in threading.enumerate()]
    assert set(queue.answered.values()) == {"computing"}
    assert set(queue.finished_with) == {True}


def test_nothing_is_claimed_while_a_suspect_computes_nor_a_suspect_ahead(queue: Queue) -> None:
    suspects: list[str] = []

    def meanwhile(run: int) -> None:
        if run in (4, 6):
            suspects.extend(queue.submit(attempts=1))
        queue.submit()

    session = Session(0.03, meanwhile)
    with Working(queue, session):
        queue.submit()
        eventually(lambda: len(session.runs) > 12 and set(suspects) <= set(queue.answered), "suspects are answered")
    assert len(suspects) == 2
    for uuid in suspects:
        claimed, finished = queue.events.index(f"claim {uuid}"), queue.events.index(f"finish {uuid}")
        between = queue.events[claimed + 1 : finished]
        assert not [event for event in between if event.startswith("claim")], "alone while it computes"
    assert {queue.answered[uuid] for uuid in suspects} == {"computing"}, "acknowledged before anything else begins"


def test_told_to_stop_it_claims_no_more_and_leaves_what_was_claimed_ahead_unanswered(queue: Queue) -> None:
    session = Session(0.05)
    with Working(queue, session) as working:
        queue.submit(40)
        eventually(lambda: any(claim.ahead for claim in queue.claims), "a batch was claimed ahead")
        working.worker.stop()
        stopped = time.monotonic()
    assert queue.closed, "which gives back what is still held"
    assert all(claim.at < stopped + 0.02 for claim in queue.claims)
    assert len(queue.answered) == sum(size for *_, size in session.runs)
    assert len(queue.answered) < 40


def test_a_lost_batch_is_neither_computed_nor_answered(queue: Queue) -> None:
    session = Session(0.0)
    queue.lost.add("0")
    with Working(queue, session):
        queue.submit()
        eventually(lambda: queue.claims, "it was claimed")
        queue.submit()
        eventually(lambda: "1" in queue.answered, "the next one is answered")
    assert "0" not in queue.answered
    assert len(session.runs) == 1


def test_a_job_whose_deadline_has_passed_is_not_computed(queue: Queue) -> None:
    session = Session(0.0)
    late = queue.submit(2, deadline_s=0.0)
    queue.submit(3)
    with Working(queue, session):
        eventually(lambda: len(queue.answered) == 5, "all are answered")
    assert [size for *_, size in session.runs] == [3]
    assert [uuid for uuid, answer in queue.answers.items() if not answer["success"]] == late
    assert {queue.answers[uuid]["error"]["code"] for uuid in late} == {"deadline_exceeded"}


def test_each_batch_is_told_to_cost_what_the_worker_was_busy_with_it_and_idle_time_costs_nothing(queue: Queue) -> None:
    queue.max_batch = 1
    session = Session(0.02)
    with Working(queue, session):
        began = time.monotonic()
        queue.submit(10)
        eventually(lambda: len(queue.answered) == 10, "all are answered")
        busy_s = time.monotonic() - began
        idle_until = time.monotonic() + 0.5
        eventually(lambda: time.monotonic() > idle_until, "it was idle")
        queue.submit()
        eventually(lambda: len(queue.answered) == 11, "all are answered")
    assert min(queue.costs_s) > 0.019
    assert sum(queue.costs_s[:10]) < busy_s
    assert queue.costs_s[10] < 0.5
