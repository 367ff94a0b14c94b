"""Which jobs are tried again after a worker was lost, and which are given up: the culprit, and not the innocent."""

import json

import pytest

from service.broker import WorkerBroker

from .answering import accepted, answers, claimed

QUEUE = "digits:1"


def submit(web, payload: bytes):
    return accepted(web.submit("digits", "1", payload, deadline_s=20))


@pytest.fixture
def lose(partitions, new_worker):
    """Claims a batch as a worker of its own, which is then lost; the payloads, in order."""
    supervisor: WorkerBroker = new_worker(partitions)
    names = iter(f"host-{i}-aa" for i in range(100))

    def claim_and_lose(*, crashed: bool, batches: int = 1, most: int = 32) -> list[bytes]:
        name = next(names)
        partitions[0].run("announce", name, 60_000, QUEUE)
        payloads = []
        for number in range(1, batches + 1):
            reply = partitions[0].run("claim", name, number, 60_000, 1000, 0, 2 if number > 1 else 0, QUEUE, most)
            payloads += reply[4::4]
        supervisor.reap_worker(name, crashed=crashed)
        return payloads

    return claim_and_lose


def test_a_job_that_crashes_its_workers_gets_its_error_at_the_second(lose, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    jobs = [submit(web, payload) for payload in (b"good", b"bad", b"fine")]
    assert lose(crashed=True) == [b"good", b"bad", b"fine"]
    batch = claimed(worker)
    assert [(job.payload, job.attempts) for job in batch.jobs] == [(b"good", 1)]
    worker.finish(batch, answers(batch), seconds=0)
    assert lose(crashed=True) == [b"bad"]
    assert json.loads(jobs[1].result())["error"]["code"] == "model_failed"
    batch = claimed(worker)
    worker.finish(batch, answers(batch), seconds=0)
    assert [jobs[0].result(), jobs[2].result()] == [b"answer to good", b"answer to fine"]
    assert worker.claim() is None


def test_a_job_whose_workers_are_killed_is_innocent_once_more(lose, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    job = submit(web, b"x")
    assert lose(crashed=False) == [b"x"]
    assert lose(crashed=False) == [b"x"]
    batch = claimed(worker)
    assert batch.jobs[0].attempts == 2
    worker.finish(batch, answers(batch), seconds=0)
    assert job.result() == b"answer to x"


def test_a_job_whose_workers_are_killed_three_times_is_given_up(lose, redis_server, partitions, new_web) -> None:
    web = new_web(partitions)
    job = submit(web, b"x")
    for _ in range(3):
        assert lose(crashed=False) == [b"x"]
    assert json.loads(job.result())["error"]["code"] == "model_failed"
    dead = redis_server.client.lrange(partitions[0].start + "dead", 0, -1)
    assert [entry.split()[0].decode() for entry in dead] == [job.uuid]


def test_jobs_that_were_claimed_ahead_of_a_crash_are_not_given_up(lose, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    jobs = [submit(web, b"%d" % i) for i in range(4)]
    assert lose(crashed=True, batches=2, most=2) == [b"0", b"1", b"2", b"3"]
    for i in range(4):
        batch = claimed(worker)
        assert [(job.payload, job.attempts) for job in batch.jobs] == [(b"%d" % i, 1)]
        worker.finish(batch, answers(batch), seconds=0)
    assert [job.result() for job in jobs] == [b"answer to %d" % i for i in range(4)]


def test_nothing_is_given_up_of_a_worker_that_held_two_batches(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    submit(web, b"suspect")
    run = partitions[0].run
    for name in ("host-1-aa", "host-2-bb"):
        run("announce", name, 60_000, QUEUE)
        run("claim", name, 1, 60_000, 1000, 0, 0, QUEUE, 1)
        if name == "host-2-bb":
            submit(web, b"new")
            run("claim", name, 2, 60_000, 1000, 0, 0, QUEUE, 1)
        worker.reap_worker(name, crashed=True)
    found = {}
    for _ in range(2):
        batch = claimed(worker)
        found |= {job.payload: job.attempts for job in batch.jobs}
        worker.finish(batch, answers(batch), seconds=0)
    assert found == {b"suspect": 1, b"new": 1}


def test_a_suspect_is_not_claimed_ahead(lose, partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions)
    submit(web, b"suspect")
    lose(crashed=False)
    submit(web, b"other")
    assert worker.claim(ahead=True) is None
    assert [job.payload for job in claimed(worker).jobs] == [b"suspect"]
    assert [job.payload for job in worker.claim(ahead=True).jobs] == [b"other"]
