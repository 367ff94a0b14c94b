"""A job goes straight to a worker that waits: what it saves, and that nothing is lost when it goes wrong."""

import time
from collections.abc import Callable

import pytest

from service.broker import Batch, BrokerUnavailable, Waiting, WorkerBroker, connect

from .answering import accepted, answering, answers, claimed, until

QUEUE = "digits:1"


def submit(web, payload: bytes = b"x", **options) -> Waiting:
    return accepted(web.submit("digits", "1", payload, **{"deadline_s": 20, **options}))


def waits(worker: WorkerBroker) -> WorkerBroker:
    """The same, known to the server as one that waits."""
    assert worker.wait(0.001) is None
    return worker


def handed(worker: WorkerBroker) -> Batch:
    """The batch that it is handed."""
    batch = until(lambda: worker.wait(0.5))
    assert isinstance(batch, Batch)
    return batch


@pytest.fixture
def key(partitions) -> Callable[[str], str]:
    return lambda name: partitions[0].start + name


@pytest.mark.parametrize("size", [1, 300_000])
def test_a_worker_that_waits_gets_the_job_without_asking(
    size, key, redis_server, partitions, new_web, new_worker
) -> None:
    web, worker = new_web(partitions), waits(new_worker(partitions))
    waiting = submit(web, b"x" * size)
    assert not redis_server.client.exists(key(f"{QUEUE}:queue:normal"))
    batch = handed(worker)
    assert [(job.uuid, job.payload, job.attempts) for job in batch.jobs] == [(waiting.uuid, b"x" * size, 0)]
    assert 18 < batch.jobs[0].deadline_s <= 20
    assert worker.finish(batch, answers(batch), seconds=0) == (1, (), None)
    assert waiting.result() == b"answer to " + b"x" * size


def test_a_job_costs_two_scripts_while_workers_are_idle(redis_server, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions, heartbeat_ms=1900)
    with answering(worker):
        submit(web).result()
        redis_server.client.config_resetstat()
        for _ in range(50):
            web.submit("digits", "1", b"x", deadline_s=20).result()
        stats = redis_server.client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] < 2 * 50 + 15  # heartbeats, looks and the state
    assert sum(one["calls"] for one in stats.values()) < 40 * 50


def test_jobs_that_come_together_go_to_different_workers(partitions, new_web, new_worker) -> None:
    web = new_web(partitions)
    workers = [waits(new_worker(partitions)) for _ in range(3)]
    jobs = [submit(web, b"%d" % i) for i in range(4)]
    batches = [handed(worker) for worker in workers]
    assert sorted(job.payload for batch in batches for job in batch.jobs) == [b"0", b"1", b"2"]
    following = workers[0].finish(batches[0], answers(batches[0]), seconds=0, claim=True).next
    assert [job.payload for job in following.jobs] == [b"3"]
    assert following.jobs[0].uuid == jobs[3].uuid


def test_who_stopped_waiting_is_handed_nothing(partitions, new_web, new_worker) -> None:
    web = new_web(partitions)
    busy, idle = waits(new_worker(partitions)), waits(new_worker(partitions))
    assert busy.claim() is None
    for _ in range(2):  # the second meets the name of one that waits no more
        job = submit(web)
        batch = handed(idle)
        assert [one.uuid for one in batch.jobs] == [job.uuid]
        idle.finish(batch, answers(batch), seconds=0)
        waits(idle)
    assert busy.claim() is None


def test_who_was_reaped_is_handed_nothing(partitions, new_web, new_worker) -> None:
    web, gone = new_web(partitions), waits(new_worker(partitions, heartbeat_ms=1900))
    other = new_worker(partitions)
    other.reap_worker(gone.worker_id)
    job = submit(web)
    assert [one.uuid for one in claimed(other).jobs] == [job.uuid]


def test_who_serves_other_queues_now_is_handed_no_job_of_the_old_ones(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), waits(new_worker(partitions))
    worker.serve({("animals", "1"): 1})
    waits(worker)
    submit(web)
    job = accepted(web.submit("animals", "1", b"cat", deadline_s=20))
    assert [one.uuid for one in handed(worker).jobs] == [job.uuid]


def test_a_mail_that_is_lost_with_its_connection_is_got_again(
    key, redis_server, partitions, new_web, new_worker
) -> None:
    web, worker = new_web(partitions), waits(new_worker(partitions))
    for client in redis_server.client.client_list():
        if client["cmd"] == "blpop":
            redis_server.client.client_kill_filter(_id=client["id"])
    job = submit(web)
    assert redis_server.client.delete(key(f"mail:{worker.worker_id}")) == 1

    def got() -> Batch | None:
        try:
            return worker.wait(0.5)
        except BrokerUnavailable:
            return None

    batch = until(got)
    assert [one.uuid for one in batch.jobs] == [job.uuid]
    assert worker.finish(batch, answers(batch), seconds=0).accepted == 1
    assert worker.wait(0.001) is None


@pytest.mark.parametrize("trouble", ["connections are cut", "scripts are forgotten"])
def test_an_answer_gets_through_where_the_mail_came_from(
    trouble, redis_server, partitions, new_web, new_worker
) -> None:
    web, worker = new_web(partitions), waits(new_worker(partitions))
    for _ in range(2):
        job = submit(web)
        batch = handed(worker)
        if trouble == "connections are cut":
            redis_server.client.client_kill_filter(_type="normal", skipme=True)
        else:
            redis_server.client.script_flush()
        assert worker.finish(batch, answers(batch), seconds=0, claim=True) == (1, (), None)
        assert job.result() == b"answer to x"


def test_a_mail_that_comes_after_its_batch_was_claimed_is_void(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), waits(new_worker(partitions))
    submit(web)  # the mail comes to the pop that was sent
    batch = claimed(worker)
    assert worker.wait(0.05) is None
    assert worker.finish(batch, answers(batch), seconds=0).accepted == 1


@pytest.mark.parametrize(("read", "attempts"), [(False, 0), (True, 1)])
def test_a_job_counts_as_tried_only_where_the_lost_worker_had_read_its_mail(
    read, attempts, key, redis_server, partitions, new_web, new_worker
) -> None:
    web, other = new_web(partitions), new_worker(partitions)
    partitions[0].run("announce", "dead-1-aa", 60_000, QUEUE)
    partitions[0].run("claim", "dead-1-aa", 1, 60_000, 1000, 0, 1, QUEUE, 32)
    job = submit(web)
    if read:
        assert redis_server.client.lpop(key("mail:dead-1-aa"))
    assert other.reap_worker("dead-1") == 1
    assert [(one.uuid, one.attempts) for one in claimed(other).jobs] == [(job.uuid, attempts)]
    assert not redis_server.client.exists(key("mail:dead-1-aa"))


@pytest.mark.alone
def test_a_job_that_comes_back_wakes_a_worker_that_waits(partitions, new_web, new_worker) -> None:
    web, first = new_web(partitions), new_worker(partitions)
    job = submit(web)
    batch = claimed(first)
    second = waits(new_worker(partitions))
    first.give_back(batch)
    began = time.monotonic()
    assert [one.uuid for one in handed(second).jobs] == [job.uuid]
    assert time.monotonic() - began < 0.3


def test_a_lease_that_runs_out_while_it_waits_is_begun_anew(key, redis_server, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), waits(new_worker(partitions, heartbeat_ms=50))
    redis_server.client.delete(key(f"lease:{worker.worker_id}"))
    until(lambda: redis_server.client.exists(key(f"lease:{worker.worker_id}")))
    job = submit(web)
    assert [one.uuid for one in handed(worker).jobs] == [job.uuid]


def test_what_several_partitions_hand_over_at_once_is_all_answered(redis_server, new_web, new_worker) -> None:
    url = f"{redis_server.url}?partition=one,{redis_server.url}?partition=two"
    web, worker = new_web(connect(url)), waits(new_worker(connect(url)))
    jobs = [submit(web, b"%d" % i) for i in range(2)]
    first = handed(worker)
    second = worker.finish(first, answers(first), seconds=0, claim=True).next
    assert second is not None, "the other was handed over as well"
    worker.finish(second, answers(second), seconds=0)
    assert [job.result() for job in jobs] == [b"answer to 0", b"answer to 1"]
