"""From submission to answer: what web and worker processes see, on a real server."""

import subprocess
import sys
import time

import pytest

from service.broker import BrokerUnavailable, Cancelled, DeadlineExceeded, QueueFull, QueueLimits, Waiting, connect

from .answering import accepted, answering, answers, claimed, until
from .test_queue_properties import assert_keys_are_on_the_map


def submit(web, payload: bytes = b"x", **options) -> Waiting:
    """A job that was accepted; raises what it was refused with."""
    return accepted(web.submit("digits", "1", payload, **{"deadline_s": 20, **options}))


@pytest.mark.parametrize("size", [1, 300_000])
def test_an_answer_comes_back_to_who_waits_for_it(size, partitions, new_web, new_worker) -> None:
    web, other = new_web(partitions), new_web(partitions)
    with answering(new_worker(partitions)):
        payloads = [bytes([65 + i]) * size for i in range(5)]
        waiting = [submit(web if i % 2 else other, payload) for i, payload in enumerate(payloads)]
        assert [one.result() for one in waiting] == [b"answer to " + payload for payload in payloads]


def test_nothing_of_an_answered_job_stays(redis_server, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    with answering(worker):
        for _ in range(20):
            submit(web).result()
    names = {"lease", "claimed", "workers", "load", "reaper", "tidier"}

    def left() -> set[str]:
        keys = (key.decode().removeprefix(partitions[0].start) for key in redis_server.client.scan_iter())
        return {key for key in keys if key.partition(":")[0] not in names and not key.endswith(":idle")}

    until(lambda: not left())
    assert_keys_are_on_the_map(redis_server.client, partitions[0].start)


def test_a_batch_takes_what_waits_up_to_its_size(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions, most=3)
    for i in range(5):
        submit(web, b"%d" % i)
    sizes = [len(claimed(worker).jobs) for _ in range(2)]
    assert sizes == [3, 2]
    assert worker.claim() is None


def test_each_model_has_its_own_largest_batch(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    worker.serve({("digits", "1"): 3, ("animals", "1"): 2})
    for _ in range(3):
        submit(web)
        accepted(web.submit("animals", "1", b"a", deadline_s=20))
    assert [(batch.model, len(batch.jobs)) for batch in (claimed(worker) for _ in range(3))] == [
        ("digits", 3),
        ("animals", 2),
        ("animals", 1),
    ]


def test_models_are_never_mixed_and_take_turns(partitions, new_web, new_worker) -> None:
    web = new_web(partitions)
    worker = new_worker(partitions, (("digits", "1"), ("animals", "1")), most=2)
    for _ in range(6):
        accepted(web.submit("digits", "1", b"d", deadline_s=20))
        accepted(web.submit("animals", "1", b"a", deadline_s=20))
    batches = [claimed(worker) for _ in range(6)]
    # The fourth is the turn of the normal priority, which goes round the queues on its own.
    assert [batch.model for batch in batches] == ["digits", "animals", "digits", "digits", "animals", "animals"]
    assert {(batch.model, job.payload) for batch in batches for job in batch.jobs} == {
        ("digits", b"d"),
        ("animals", b"a"),
    }


def test_one_batch_is_filled_from_several_priorities(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    for priority in ("low", "high", "normal"):
        submit(web, priority.encode(), priority=priority)
    assert [job.payload for job in claimed(worker).jobs] == [b"high", b"normal", b"low"]


@pytest.mark.parametrize(
    ("limits", "fits"),
    [(QueueLimits(max_jobs=3), 3), (QueueLimits(max_bytes=250), 2)],
    ids=["jobs", "bytes"],
)
def test_a_full_queue_refuses_at_admission_and_at_submission(limits, fits, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions, limits=limits), new_worker(partitions)
    web.admit("digits", "1", 20)
    for _ in range(fits):
        submit(web, b"x" * 100)
    with pytest.raises(QueueFull) as refused:
        submit(web, b"x" * 100)
    assert refused.value.retry_after >= 1
    batch = claimed(worker)
    with pytest.raises(QueueFull):  # being computed is not yet done
        submit(web, b"x" * 100)
    worker.finish(batch, answers(batch), seconds=0)
    submit(web, b"x" * 100)


def test_admission_refuses_while_the_queue_is_full(partitions, new_web) -> None:
    web = new_web(partitions, limits=QueueLimits(max_jobs=1))
    waiting = submit(web)

    def refused() -> bool:
        try:
            web.admit("digits", "1", 20)
        except QueueFull:
            return True
        return False

    until(refused, 1)
    waiting.cancel()
    until(lambda: not refused(), 1)


def test_a_deadline_that_cannot_be_met_is_refused_with_the_time_it_needs(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    submit(web)
    batch = claimed(worker)
    worker.finish(batch, answers(batch), seconds=2.0)
    for _ in range(3):
        submit(web)
    with pytest.raises(QueueFull) as refused:  # 3 jobs of 2 s each, then its own batch, and a tenth more
        submit(web, deadline_s=1.5)
    assert refused.value.retry_after == pytest.approx(1.1 * (3 * 2 + 2) - 1.5, abs=0.2)
    with pytest.raises(QueueFull):
        until(lambda: web.admit("digits", "1", 1.5), 1)
    submit(web, deadline_s=10)
    new_worker(partitions)
    new_worker(partitions)
    new_worker(partitions)
    with pytest.raises(QueueFull):
        submit(web, deadline_s=4.3)
    submit(web, deadline_s=4.5)  # 4 jobs of 2 s over 4 workers, and its own batch


def test_what_higher_priorities_would_hold_up_beyond_its_deadline_is_refused(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    submit(web)
    batch = claimed(worker)
    worker.finish(batch, answers(batch), seconds=0.1)
    submit(web, priority="low", deadline_s=0.7)
    submit(web, priority="low", deadline_s=0.7)  # one of low priority is before it, nothing of a higher one
    submit(web, priority="high")  # a whole batch, whose like may follow for as long as it takes
    with pytest.raises(QueueFull) as refused:
        submit(web, priority="low", deadline_s=2.0)
    # Two before it and its own batch have one turn of eight each, a tenth is for error.
    assert refused.value.retry_after == pytest.approx(max(1.0, 1.1 * (17 * 0.1 + 8 * 0.1) - 2.0), abs=0.2)
    submit(web, priority="low", deadline_s=3.0)
    submit(web, priority="high", deadline_s=0.7)


def test_a_slow_batch_shuts_nobody_out_while_nothing_waits(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    submit(web)
    batch = claimed(worker)
    worker.finish(batch, answers(batch), seconds=100.0)
    web.admit("digits", "1", 0.5)
    submit(web, deadline_s=0.5)


def test_jobs_wait_for_a_worker_that_is_not_there_yet(partitions, new_web, new_worker) -> None:
    web = new_web(partitions)
    waiting = submit(web)
    with answering(new_worker(partitions)):
        assert waiting.result() == b"answer to x"


@pytest.mark.alone
def test_a_job_without_an_answer_ends_at_its_deadline(redis_server, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    waiting = submit(web, deadline_s=0.3)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        waiting.result()
    assert time.monotonic() - began < 0.6
    until(lambda: web.status().waiting == 0, 3)
    assert worker.claim() is None
    until(lambda: not redis_server.client.keys("*job*"))
    assert not redis_server.client.keys("*queue*")


def test_a_claimed_job_tells_how_long_it_has(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    submit(web, deadline_s=5)
    assert 4 < claimed(worker).jobs[0].deadline_s <= 5


def test_a_cancelled_job_is_not_computed_and_wakes_who_waits(redis_server, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    waiting = submit(web)
    waiting.cancel()
    waiting.cancel()
    with pytest.raises(Cancelled):
        waiting.result()
    assert worker.claim() is None
    assert not redis_server.client.keys("*queue*")


def test_the_answer_to_a_job_cancelled_while_it_was_computed_is_not_accepted(
    redis_server, partitions, new_web, new_worker
) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    first, second = submit(web, b"first"), submit(web, b"second")
    batch = claimed(worker)
    first.cancel()
    until(lambda: not redis_server.client.exists(f"{partitions[0].start}job:{first.uuid}"))
    assert worker.finish(batch, answers(batch), seconds=0) == (1, (first.uuid,), None)
    assert second.result() == b"answer to second"


def test_what_is_given_back_goes_to_the_head_and_counts_as_no_attempt(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions, most=3)
    for i in range(4):
        submit(web, b"%d" % i)
    batch = claimed(worker)
    worker.give_back(batch, [job.uuid for job in batch.jobs[1:]])
    again = claimed(worker)
    assert [(job.payload, job.attempts) for job in again.jobs] == [(b"1", 0), (b"2", 0), (b"3", 0)]
    assert worker.finish(batch, answers(batch), seconds=0).accepted == 1
    worker.give_back(again)
    worker.close()
    assert [job.payload for job in claimed(new_worker(partitions)).jobs] == [b"1", b"2", b"3"]


def test_a_worker_that_closes_gives_back_what_it_holds(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    submit(web)
    claimed(worker)
    worker.close()
    job = claimed(new_worker(partitions), seconds=1).jobs[0]
    assert job.attempts == 0


def test_what_a_worker_that_was_taken_for_dead_held_is_marked_as_lost(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions, heartbeat_ms=20)
    submit(web)
    batch = claimed(worker)
    worker.reap_worker(worker.worker_id)
    until(lambda: batch.lost)
    assert worker.finish(batch, answers(batch), seconds=0) == (0, (), None)
    batch = claimed(worker)
    assert [job.attempts for job in batch.jobs] == [1]
    assert worker.finish(batch, answers(batch), seconds=0).accepted == 1


def test_status_tells_who_serves_what(partitions, new_web, new_worker) -> None:
    web = new_web(partitions)
    assert web.status().live_workers == {}
    new_worker(partitions, (("digits", "1"), ("digits", "2")))
    new_worker(partitions, (("digits", "2"),))
    until(lambda: web.status().live_workers == {("digits", "1"): 1, ("digits", "2"): 2}, 3)
    submit(web)
    until(lambda: web.status().waiting == 1, 3)
    assert web.status().reachable


@pytest.mark.alone
def test_an_idle_worker_wakes_when_a_job_comes(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions, (("animals", "1"), ("digits", "1")))
    web.status()
    with answering(worker):
        times = []
        for _ in range(10):
            began = time.monotonic()
            submit(web).result()
            times.append(time.monotonic() - began)
    assert sorted(times)[5] < 0.05


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"model": "a:b"}, "model"),
        ({"version": ""}, "version"),
        ({"priority": "urgent"}, "priority"),
        ({"deadline_s": 0}, "deadline_s"),
        ({"deadline_s": 1e9}, "deadline_s"),
    ],
)
def test_what_cannot_be_a_job_is_refused_by_name(arguments, named, partitions, new_web) -> None:
    options = {"model": "digits", "version": "1", "payload": b"x", "deadline_s": 1.0, **arguments}
    with pytest.raises(ValueError, match=named):
        new_web(partitions).submit(**options)


def test_the_web_side_closes_while_somebody_waits(partitions, new_web) -> None:
    web = new_web(partitions)
    waiting = submit(web)
    web.close()
    with pytest.raises(BrokerUnavailable, match="ends"):  # the client did not go away: it may ask again
        waiting.result()


GEVENT_WEB = """
from gevent import monkey
monkey.patch_all()
import sys, gevent
from service.broker import connect, WebBroker
web = WebBroker(connect(sys.argv[1]))
def ask(i):
    return web.submit("digits", "1", b"%d" % i, deadline_s=10).result() == b"answer to %d" % i
jobs = [gevent.spawn(ask, i) for i in range(200)]
gevent.joinall(jobs, raise_error=True)
assert all(job.value for job in jobs)
web.close()
print("all answered")
"""


def test_two_hundred_greenlets_wait_in_one_process(redis_server, partitions, new_worker) -> None:
    with answering(new_worker(connect(redis_server.url))):
        ended = subprocess.run(
            [sys.executable, "-c", GEVENT_WEB, redis_server.url],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.stdout == "all answered\n", ended.stderr
