"""Every script may be repeated: its reply is lost once, and what lies in Redis is what one run leaves."""

import re
from collections.abc import Callable, Iterator

import pytest

from service.broker import BrokerUnavailable, Partition, connect, scripts

from .answering import LosingProxy, accepted, answers, claimed, until

QUEUE = "digits:1"
LEASE_MS = 60_000

Run = Callable[..., object]


def _submit(run: Run, *uuids: str) -> None:
    for uuid in uuids:
        run("submit", uuid, QUEUE, "normal", "web", 60_000, b"image", 10, 1000, 0)


def _arrive(run: Run) -> None:
    run("announce", "host-1-aa", LEASE_MS, QUEUE)


def _wish(number: int, mode: int = 0) -> tuple[object, ...]:
    return (number, LEASE_MS, 1000, 0, mode, QUEUE, 2)


def _prepared(run: Run) -> None:
    _arrive(run)
    _submit(run, "a", "b", "c")
    run("claim", "host-1-aa", *_wish(1))


def _idle(run: Run) -> None:
    _arrive(run)
    run("claim", "host-1-aa", *_wish(1, mode=1))


# For each script: what lies there before, and the call whose reply is lost.
CALLS: dict[str, tuple[str, Callable[[Run], object], tuple[object, ...]]] = {
    "announce": ("announce", lambda run: None, ("host-1-aa", LEASE_MS, QUEUE)),
    "cancel": ("cancel", _prepared, ("c", QUEUE, "normal", "")),
    "claim": ("claim", _prepared, ("host-1-aa", *_wish(2))),
    "claim and wait": ("claim", _arrive, ("host-1-aa", *_wish(1, mode=1))),
    "finish": ("finish", _prepared, ("host-1-aa", 1, 5, 2, "a", b"answer", "b", b"answer")),
    "finish and claim": ("finish", _prepared, ("host-1-aa", 1, 5, 1, "a", b"answer", *_wish(2))),
    "finish and wait": (
        "finish",
        _prepared,
        ("host-1-aa", 1, 5, 2, "a", b"answer", "b", b"answer", *_wish(2, mode=1)),
    ),
    "give_back": ("give_back", _prepared, ("host-1-aa", 1, "a", "b")),
    "probe": ("probe", _prepared, ("a", "c", "z")),
    "reap": ("reap", _prepared, ("lost", "host-1", 0, b"given up")),
    "renew": ("renew", _prepared, ("host-1-aa", LEASE_MS)),
    "state": ("state", _prepared, ()),
    "submit": ("submit", _prepared, ("d", QUEUE, "high", "web", 60_000, b"image", 10, 1000, 0)),
    "submit, handed over": ("submit", _idle, ("d", QUEUE, "high", "web", 60_000, b"image", 10, 1000, 0)),
}


@pytest.fixture
def proxy(redis_server) -> Iterator[LosingProxy]:
    proxy = LosingProxy(redis_server.socket)
    yield proxy
    proxy.close()


def contents(client, partition: Partition) -> dict[str, object]:
    """All keys and values, without deadlines."""
    found: dict[str, object] = {}
    for key in client.scan_iter():
        name = key.decode().removeprefix(partition.start)
        kind = client.type(key)
        if kind == b"list":
            found[name] = [_undated(element) for element in client.lrange(key, 0, -1)]
        elif kind == b"hash":
            found[name] = {field: _undated(value) for field, value in client.hgetall(key).items()}
        elif kind == b"set":
            found[name] = client.smembers(key)
        else:
            found[name] = client.get(key)
    return found


def _undated(text: bytes) -> bytes:
    return re.sub(rb"\b\d{13}\b", b"deadline", text)


def test_the_table_of_calls_covers_every_script() -> None:
    assert {script for script, *_ in CALLS.values()} == set(scripts.NAMES)


@pytest.mark.parametrize("call", CALLS)
def test_a_script_whose_reply_is_lost_has_its_effect_once(call, redis_server, partitions, proxy) -> None:
    script, prepare, arguments = CALLS[call]
    prepare(partitions[0].run)
    partitions[0].run(script, *arguments)
    expected = contents(redis_server.client, partitions[0])

    redis_server.client.flushall()
    prepare(partitions[0].run)
    losing = connect(proxy.url)[0]
    losing.check()
    proxy.to_lose = 1
    losing.run(script, *arguments)
    assert proxy.lost == 1
    assert contents(redis_server.client, partitions[0]) == expected
    losing.close()


def test_a_claim_that_could_not_be_heard_is_the_same_batch_the_next_time(
    redis_server, partitions, proxy, new_web, new_worker
) -> None:
    web = new_web(partitions)
    waiting = [accepted(web.submit("digits", "1", b"%d" % i, deadline_s=20)) for i in range(3)]
    worker = new_worker(connect(proxy.url), most=2, heartbeat_ms=50_000, lease_ms=60_000)
    until(lambda: redis_server.client.exists(partitions[0].start + "reaper"))  # the only heartbeat is over
    proxy.to_lose = 2
    with pytest.raises(BrokerUnavailable):
        worker.claim()
    batch = claimed(worker)
    assert [job.payload for job in batch.jobs] == [b"0", b"1"]
    worker.finish(batch, answers(batch), seconds=0)
    batch = claimed(worker)
    worker.finish(batch, answers(batch), seconds=0)
    assert [one.result() for one in waiting] == [b"answer to %d" % i for i in range(3)]


def test_a_submission_whose_reply_is_lost_is_computed_once(
    redis_server, partitions, proxy, new_web, new_worker
) -> None:
    web = new_web(connect(proxy.url))
    worker = new_worker(partitions)
    web.status()
    proxy.to_lose = 1
    waiting = web.submit("digits", "1", b"x", deadline_s=20)
    batch = claimed(worker)
    assert len(batch.jobs) == 1
    assert worker.claim() is None
    assert worker.finish(batch, answers(batch), seconds=0).accepted == 1
    assert waiting.result() == b"answer to x"


def test_a_finish_whose_reply_is_lost_brings_the_next_batch_all_the_same(
    redis_server, partitions, proxy, new_web, new_worker
) -> None:
    web = new_web(partitions)
    waiting = [accepted(web.submit("digits", "1", b"%d" % i, deadline_s=20)) for i in range(2)]
    worker = new_worker(connect(proxy.url), most=1, heartbeat_ms=50_000, lease_ms=60_000)
    until(lambda: redis_server.client.exists(partitions[0].start + "reaper"))
    batch = claimed(worker)
    proxy.to_lose = 1
    finished = worker.finish(batch, answers(batch), seconds=0, claim=True)
    # The first time it was taken; the second time it was not in the batch any more.
    assert (finished.accepted, finished.refused) == (0, (waiting[0].uuid,))
    assert [job.payload for job in finished.next.jobs] == [b"1"]
    worker.finish(finished.next, answers(finished.next), seconds=0)
    assert [one.result() for one in waiting] == [b"answer to 0", b"answer to 1"]
