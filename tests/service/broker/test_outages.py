"""What may break, does: servers, connections, workers; no accepted job is lost, and none is answered twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from service.broker import (
    BrokerUnavailable,
    QueueFull,
    UnsuitableServer,
    Waiting,
    WorkerBroker,
    connect,
    mailbox,
    worker_name,
)

from .answering import accepted, answering, answers, claimed, until

# Claims one batch, says so, waits for a line, answers, and tells what came of it.
WORKER = """
import sys
from service.broker import WorkerBroker, connect
worker = WorkerBroker(connect(sys.argv[1]), lease_ms=600, heartbeat_ms=100)
worker.serve({("digits", "1"): 32})
batch = None
while batch is None:
    batch = worker.wait(1)
print("claimed", flush=True)
sys.stdin.readline()
print(worker.finish(batch, {job.uuid: b"late" for job in batch.jobs}, seconds=0).accepted, flush=True)
"""


def submit(web, payload: bytes = b"x", **options) -> Waiting:
    """A job that was accepted; raises what it was refused with."""
    return accepted(web.submit("digits", "1", payload, **{"deadline_s": 20, **options}))


@pytest.fixture
def worker_process(redis_server) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, redis_server.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.alone
def test_a_killed_workers_jobs_are_answered_by_another_within_three_seconds(
    partitions, worker_process, new_web, new_worker
) -> None:
    web = new_web(partitions)
    waiting = [submit(web, b"%d" % i) for i in range(3)]
    assert worker_process.stdout.readline() == "claimed\n"
    other = new_worker(partitions)
    worker_process.kill()
    began = time.monotonic()
    with answering(other):
        assert [one.result() for one in waiting] == [b"answer to %d" % i for i in range(3)]
    assert time.monotonic() - began < 3


def test_a_worker_that_was_seen_to_die_is_reaped_at_once(redis_server, worker_process, new_web) -> None:
    web = new_web(connect(redis_server.url))
    submit(web)
    assert worker_process.stdout.readline() == "claimed\n"
    worker_process.kill()
    worker_process.wait()
    supervisor = WorkerBroker(connect(redis_server.url))
    assert supervisor.reap_worker(worker_name(worker_process.pid)) == 1
    assert supervisor.reap_worker(worker_name(worker_process.pid)) == 0
    supervisor.serve({("digits", "1"): 32})
    assert claimed(supervisor, seconds=0.5).jobs[0].attempts == 1
    supervisor.close()


def test_the_late_finish_of_a_worker_that_slept_is_refused(partitions, worker_process, new_web, new_worker) -> None:
    web = new_web(partitions)
    waiting = submit(web)
    assert worker_process.stdout.readline() == "claimed\n"
    os.kill(worker_process.pid, signal.SIGSTOP)
    with answering(new_worker(partitions)):
        assert waiting.result() == b"answer to x"
    os.kill(worker_process.pid, signal.SIGCONT)
    output, _ = worker_process.communicate("\n", timeout=10)
    assert output == "0\n"


@pytest.mark.alone
def test_an_answer_whose_hint_is_lost_is_found(redis_server, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    waiting = submit(web)
    batch = claimed(worker)
    held = f"{partitions[0].start}claimed:{worker.worker_id}"
    entry = redis_server.client.hget(held, waiting.uuid)
    redis_server.client.hset(held, waiting.uuid, entry.rpartition(b" ")[0] + b" elsewhere")
    worker.finish(batch, answers(batch), seconds=0)
    began = time.monotonic()
    assert waiting.result() == b"answer to x"
    assert time.monotonic() - began < 3


def test_the_only_server_may_be_away_for_longer_than_a_second_without_a_word_of_failure(
    new_redis_server, new_web, new_worker, caplog
) -> None:
    server = new_redis_server()
    web, worker = new_web(connect(server.url)), new_worker(connect(server.url))
    waiting = submit(web)
    server.stop()
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 2.5, seconds=5)  # by then its jobs would move to another server
    server.start()
    with answering(worker):
        assert waiting.result() == b"answer to x"
    assert not [record for record in caplog.records if record.exc_info]


def test_jobs_are_submitted_again_when_the_server_lost_everything(
    redis_server, partitions, new_web, new_worker
) -> None:
    web = new_web(partitions)
    waiting = [submit(web, b"%d" % i) for i in range(10)]
    redis_server.client.flushall()
    with answering(new_worker(partitions)):
        assert [one.result() for one in waiting] == [b"answer to %d" % i for i in range(10)]


@pytest.mark.alone
def test_a_server_that_restarts_loses_no_job_and_refuses_new_ones_meanwhile(
    new_redis_server, new_web, new_worker
) -> None:
    server = new_redis_server()
    web = new_web(connect(server.url))
    worker = new_worker(connect(server.url))
    held = submit(web, b"held")
    batch = claimed(worker)
    waiting = [submit(web, b"%d" % i) for i in range(5)]
    server.stop()
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        submit(web)
    with pytest.raises(BrokerUnavailable):
        until(lambda: web.admit("digits", "1", 20))
    assert time.monotonic() - began < 1
    until(lambda: not web.status().reachable, 3)
    server.start()
    until(lambda: batch.lost)
    with answering(worker):
        assert held.result() == b"answer to held"
        assert [one.result() for one in waiting] == [b"answer to %d" % i for i in range(5)]
        assert submit(web).result() == b"answer to x"
    until(lambda: web.status().reachable, 3)


def test_everything_starts_while_the_server_is_away(new_redis_server, new_web, new_worker) -> None:
    server = new_redis_server()
    server.stop()
    web, worker = new_web(connect(server.url)), new_worker(connect(server.url))
    with pytest.raises(BrokerUnavailable):
        submit(web)
    with pytest.raises(BrokerUnavailable):
        worker.claim()
    with pytest.raises(BrokerUnavailable):
        worker.wait(1)
    assert not web.status().reachable
    server.start()
    with answering(worker):

        def taken():
            try:
                return submit(web)
            except BrokerUnavailable:
                return None

        assert until(taken).result() == b"answer to x"


def test_a_job_that_was_cancelled_while_the_server_was_away_is_deleted_when_it_is_back(
    redis_server, new_web, new_worker
) -> None:
    web = new_web(connect(redis_server.url))
    waiting = submit(web)
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        waiting.cancel()
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    until(lambda: not redis_server.client.keys("*job:*"), 5)


def test_a_server_without_memory_refuses_jobs_and_still_drains(new_redis_server, new_web, new_worker) -> None:
    server = new_redis_server("--maxmemory-policy", "noeviction")
    web, worker = new_web(connect(server.url)), new_worker(connect(server.url))
    web.status()
    server.client.config_set("maxmemory", server.client.info("memory")["used_memory"] + 3 * 2**20)
    waiting: list[Waiting] = []

    def fill() -> None:
        for i in range(1000):
            waiting.append(submit(web, b"%d" % i + b"x" * 30_000))  # noqa: PERF401

    with pytest.raises(QueueFull):
        fill()
    assert len(waiting) > 20
    # Full to the brim, so that nothing but what frees memory gets through at first.
    server.client.config_set("maxmemory", 1024)
    with answering(worker):
        for i, one in enumerate(waiting):
            assert one.result().startswith(b"answer to %dx" % i)
    server.client.config_set("maxmemory", 0)
    until(lambda: not server.client.keys("*job:*"))


@pytest.mark.parametrize(("policy", "suits"), [("noeviction", True), ("allkeys-lru", False), ("volatile-ttl", False)])
def test_a_server_that_may_evict_jobs_is_refused(policy, suits, new_redis_server) -> None:
    server = new_redis_server("--maxmemory", "100mb", "--maxmemory-policy", policy)
    partition = connect(server.url)[0]
    if suits:
        partition.check()
        return
    with pytest.raises(UnsuitableServer, match=policy):
        partition.run("state")


def test_scripts_that_the_server_forgot_are_sent_again(redis_server, partitions) -> None:
    partitions[0].run("state")
    redis_server.client.script_flush()
    assert partitions[0].run("state") == [0, b"0"]


def test_garbage_in_the_reply_list_leaves_nobody_waiting(redis_server, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    waiting = submit(web)
    batch = claimed(worker)
    garbage = redis_server.client.pipeline(transaction=True)
    for _ in range(3):
        garbage.rpush(f"{partitions[0].start}reply:{web._id}", b"\xff\xfe")
    garbage.execute()
    worker.finish(batch, answers(batch), seconds=0)
    assert waiting.result() == b"answer to x"


@pytest.mark.alone
def test_a_server_that_hangs_does_not_deafen_the_workers_to_the_others(new_redis_server, new_web, new_worker) -> None:
    here, hanging = new_redis_server(), new_redis_server()
    worker = new_worker(connect(f"{here.url},{hanging.url}?partition=q"))
    web = new_web(connect(here.url))
    with answering(worker):
        submit(web).result()
        os.kill(hanging.pid, signal.SIGSTOP)
        try:
            for _ in range(2):
                submit(web).result()  # as long as it takes to notice
            began, slowest = time.monotonic(), 0.0
            while (at := time.monotonic()) < began + 2.5:
                submit(web).result()
                slowest = max(slowest, time.monotonic() - at)
                time.sleep(0.02)  # else there is no wait to be cut short
            assert slowest < 0.5  # a try to reach the other costs a second
        finally:
            os.kill(hanging.pid, signal.SIGCONT)
        other = new_web(connect(f"{hanging.url}?partition=q"))
        until(lambda: other.status().live_workers)
        assert submit(other).result() == b"answer to x"


def test_a_batch_of_a_server_that_is_gone_does_not_hold_its_worker_up(new_redis_server, new_web, new_worker) -> None:
    here, gone = new_redis_server(), new_redis_server()
    worker = new_worker(connect(f"{here.url},{gone.url}?partition=q"), lease_ms=300, heartbeat_ms=100)
    submit(new_web(connect(f"{gone.url}?partition=q")))
    batch = claimed(worker)
    gone.stop()
    job = submit(new_web(connect(here.url)), b"here")
    finished = worker.finish(batch, answers(batch), seconds=0, claim=True)
    assert batch.lost
    assert finished.refused == tuple(answers(batch))
    worker.finish(finished.next, answers(finished.next), seconds=0)
    assert job.result() == b"answer to here"


def test_jobs_of_a_worker_that_gave_up_on_a_server_are_back_when_it_returns(
    new_redis_server, new_web, new_worker
) -> None:
    here, hanging = new_redis_server(), new_redis_server()
    # A lease that outlives the absence.
    worker = new_worker(connect(f"{here.url},{hanging.url}?partition=q"), lease_ms=60_000, heartbeat_ms=100)
    web = new_web(connect(f"{hanging.url}?partition=q"))
    job = submit(web)
    batch = claimed(worker)
    worker._leases[batch.partition].forsake()
    assert worker.finish(batch, answers(batch), seconds=0).accepted == 0
    with answering(worker):
        assert job.result() == b"answer to x"


def test_a_wait_after_a_long_computation_is_no_outage(monkeypatch, partitions, new_web, new_worker) -> None:
    monkeypatch.setattr(mailbox, "LONGEST_WAIT_S", 0.1)
    monkeypatch.setattr(mailbox, "PATIENCE_S", 0.1)
    web, worker = new_web(partitions), new_worker(partitions)
    job = submit(web)
    batch = claimed(worker)
    assert worker.wait(0.01) is None  # leaves a pop behind
    time.sleep(0.3)  # computes
    worker.finish(batch, answers(batch), seconds=0.3, claim=True)
    assert worker.wait(0.01) is None
    assert job.result() == b"answer to x"
