"""Submissions that nobody waits for: refusals come out of `result`, nothing is lost where connections are."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.broker import (
    BrokerUnavailable,
    Cancelled,
    DeadlineExceeded,
    QueueFull,
    QueueLimits,
    Waiting,
    connect,
    scripts,
)
from service.broker.submissions import Resubmission, Submission
from service.broker.waking import Threads
from service.broker.wire import pack_script, script_head

from .answering import accepted, answering, answers, claimed, until


def submit(web, payload: bytes = b"x", **options) -> Waiting:
    return web.submit("digits", "1", payload, **{"deadline_s": 20, **options})


def two(redis_server) -> str:
    return f"{redis_server.url}?partition=one,{redis_server.url}?partition=two"


@pytest.mark.parametrize("kind", [Submission, Resubmission])
def test_the_packed_command_has_the_arguments_of_the_script(kind, partitions) -> None:
    waiting = Waiting("0" * 32, "digits:1", "high", b"\x00image\r\n", 3600, {}, lambda _: None, Threads())
    submission = kind(waiting, partitions, "web", QueueLimits(), lambda *_: None)
    head = script_head(scripts.load("submit").digest, partitions[0].start)

    def same() -> bool:  # unless the clock ticked in between
        return submission.packed(head) == pack_script(head, submission.arguments())

    until(same, 1)


def test_a_full_queue_is_told_by_the_result(partitions, new_web) -> None:
    web = new_web(partitions, limits=QueueLimits(max_jobs=2))
    jobs = [submit(web) for _ in range(3)]
    with pytest.raises(QueueFull) as refused:
        jobs[2].result()
    assert refused.value.retry_after >= 1
    assert jobs[2].done
    assert not jobs[0].done


def test_several_jobs_may_be_waited_for_until_they_are_accepted(partitions, new_web, new_worker) -> None:
    web = new_web(partitions, limits=QueueLimits(max_jobs=2))
    jobs = [submit(web) for _ in range(3)]
    for job in jobs[:2]:
        job.accepted()
        assert not job.done
    with pytest.raises(QueueFull):
        jobs[2].accepted()
    worker = new_worker(partitions)
    batch = claimed(worker)
    worker.finish(batch, answers(batch), seconds=0)
    assert jobs[0].result() == b"answer to x"
    jobs[0].accepted()  # it was


def test_a_job_that_one_partition_refuses_goes_to_the_next(redis_server, new_web, new_worker) -> None:
    web = new_web(connect(two(redis_server)), limits=QueueLimits(max_jobs=1))
    first, second = (accepted(submit(web)) for _ in range(2))
    assert {first.partition, second.partition} == {0, 1}
    with pytest.raises(QueueFull):
        submit(web).result()
    first.cancel()
    third = accepted(until(lambda: not_refused(submit(web))))
    assert third.partition == first.partition


def not_refused(waiting: Waiting) -> Waiting | None:
    try:
        return accepted(waiting)
    except QueueFull:
        return None


def test_a_job_cancelled_before_it_was_accepted_does_not_stay(redis_server, partitions, new_web) -> None:
    web = new_web(partitions)
    accepted(submit(web)).cancel()
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        waiting = submit(web)
        waiting.cancel()
        with pytest.raises(Cancelled):
            waiting.result()
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    until(lambda: waiting.partition is not None)
    until(lambda: not redis_server.client.keys("*job:*"))
    until(lambda: not redis_server.client.keys("*queue*"))


@pytest.mark.alone
@pytest.mark.parametrize("deadline_s", [0.02, 0.3])
def test_a_deadline_is_kept_whether_or_not_the_server_answers(deadline_s, new_redis_server, new_web) -> None:
    server = new_redis_server()
    web = new_web(connect(server.url))
    accepted(submit(web))
    for moment in ("answers", "is stopped"):
        if moment == "is stopped":
            os.kill(server.pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            submit(web, deadline_s=deadline_s).result()
        assert deadline_s <= time.monotonic() - began < deadline_s + 0.1
    os.kill(server.pid, signal.SIGCONT)


@pytest.mark.alone
def test_a_server_that_stands_still_is_unavailable_within_a_second_and_serves_again_when_it_goes_on(
    new_redis_server, new_web, new_worker
) -> None:
    server = new_redis_server()
    web = new_web(connect(server.url))
    accepted(submit(web, deadline_s=1))
    os.kill(server.pid, signal.SIGSTOP)
    began = time.monotonic()
    lost = submit(web, b"lost")
    with pytest.raises(BrokerUnavailable):
        lost.result()
    assert 0.9 < time.monotonic() - began < 1.4
    with pytest.raises(BrokerUnavailable):
        submit(web).result()
    os.kill(server.pid, signal.SIGCONT)
    with answering(new_worker(connect(server.url))):
        assert until(lambda: answered(submit(web))) == b"answer to x"
    until(lambda: not server.client.keys("*job:*"))  # nor what was refused, though it arrived


def answered(waiting: Waiting) -> bytes | None:
    try:
        return waiting.result()
    except BrokerUnavailable:
        return None


def test_every_job_is_answered_while_all_connections_are_cut_again_and_again(
    redis_server, partitions, new_web, new_worker
) -> None:
    web = new_web(partitions)
    stop = threading.Event()

    def cut() -> None:
        while not stop.wait(0.1):
            redis_server.client.client_kill_filter(_type="normal", skipme=True)

    def ask(number: int) -> tuple[int, int]:
        """How many were answered, and how many refused."""
        refused = 0
        for i in range(40):
            payload = b"%d %d" % (number, i)
            while True:
                try:
                    assert submit(web, payload).result() == b"answer to " + payload
                    break
                except BrokerUnavailable:
                    refused += 1
                    time.sleep(0.01)
            time.sleep(0.01)
        return 40, refused

    cutter = threading.Thread(target=cut)
    cutter.start()
    with answering(new_worker(connect(redis_server.url))), ThreadPoolExecutor(8) as pool:
        results = list(pool.map(ask, range(8)))
        stop.set()
        cutter.join()
    assert sum(count for count, _ in results) == 320


def test_results_that_were_read_are_deleted(redis_server, partitions, new_web, new_worker) -> None:
    web = new_web(partitions)
    with answering(new_worker(partitions)):
        for job in [submit(web) for _ in range(300)]:
            job.result()
        until(lambda: not redis_server.client.keys("*result*"), 2)


def test_two_round_trips_are_all_that_an_answer_takes(redis_server, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(connect(redis_server.url), heartbeat_ms=50_000, lease_ms=60_000)
    web.admit("digits", "1", 20)
    accepted(submit(web))
    claimed(worker)
    redis_server.client.config_resetstat()
    waiting = accepted(submit(web))
    batch = claimed(worker)
    worker.finish(batch, answers(batch), seconds=0)
    waiting.result()
    calls = {name: stats["calls"] for name, stats in redis_server.client.info("commandstats").items()}
    assert calls["cmdstat_evalsha"] <= 4  # submission, claim, finish; the state, perhaps
    assert calls.get("cmdstat_blpop", 0) <= 2


@pytest.mark.alone
def test_a_known_state_is_used_at_once_and_asked_for_anew(new_redis_server, new_web) -> None:
    server = new_redis_server()
    web = new_web(connect(server.url), limits=QueueLimits(max_jobs=1))
    web.admit("digits", "1", 20)
    time.sleep(1.2)  # nobody asked for long; the submission decides all the same
    os.kill(server.pid, signal.SIGSTOP)
    began = time.monotonic()
    web.admit("digits", "1", 20)
    assert time.monotonic() - began < 0.05
    os.kill(server.pid, signal.SIGCONT)
    waiting = accepted(submit(web))

    def refused() -> bool:
        try:
            web.admit("digits", "1", 20)
        except QueueFull:
            return True
        return False

    until(refused, 1)
    # Without anybody asking meanwhile, the next one is not refused for what was so then.
    waiting.cancel()
    until(lambda: not server.client.keys("*job:*"))
    time.sleep(0.15)
    web.admit("digits", "1", 20)


@pytest.mark.alone
def test_admission_tells_a_server_that_stands_still(new_redis_server, new_web) -> None:
    server = new_redis_server()
    web = new_web(connect(server.url))
    web.admit("digits", "1", 20)
    os.kill(server.pid, signal.SIGSTOP)
    began = time.monotonic()

    def refused() -> bool:
        try:
            web.admit("digits", "1", 20)
        except BrokerUnavailable:
            return True
        return False

    until(refused, 2)
    assert time.monotonic() - began < 1.5
    assert not web.status().reachable
    os.kill(server.pid, signal.SIGCONT)
    until(lambda: not refused(), 2)
    until(lambda: web.status().reachable, 2)


def test_a_closed_broker_takes_nothing(partitions, new_web) -> None:
    web = new_web(partitions)
    web.admit("digits", "1", 20)
    web.close()
    with pytest.raises(BrokerUnavailable, match="ends"):
        submit(web)
    assert not web.status().reachable


CROWD = """
import sys, threading
if sys.argv[2] == "gevent":
    from gevent import monkey
    monkey.patch_all()
from service.broker import connect, WebBroker
web = WebBroker(connect(sys.argv[1]))
missing = []
def ask(i):
    for turn in range(4):
        payload = b"%d %d" % (i, turn)
        web.admit("digits", "1", 20)
        if web.submit("digits", "1", payload, deadline_s=20).result() != b"answer to " + payload:
            missing.append(payload)
threads = [threading.Thread(target=ask, args=(i,)) for i in range(128)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
web.close()
print("all answered" if not missing else missing)
"""


@pytest.mark.parametrize("kind", ["gevent", "threads"])
def test_two_processes_with_a_hundred_and_twenty_eight_waiting_requests_each(kind, redis_server, new_worker) -> None:
    command = [sys.executable, "-c", CROWD, redis_server.url, kind]
    with answering(new_worker(connect(redis_server.url))):
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
        ]
        for process in processes:
            out, error = process.communicate(timeout=60)
            assert out == "all answered\n", error
