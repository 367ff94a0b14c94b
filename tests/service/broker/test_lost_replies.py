"""Every script may be repeated: its reply is lost once, and what lies in Redis is what one run leaves."""

from collections.abc import Callable, Iterator

import pytest

from service.broker import BrokerUnavailable, Partition, connect, scripts

from .answering import LosingProxy, answers, claimed, until

QUEUE = "digits:1"
LEASE_MS = 60_000

Run = Callable[..., object]


def _submit(run: Run, *uuids: str) -> None:
    for uuid in uuids:
        run("submit", uuid, QUEUE, "normal", "web", 60_000, b"image", 10, 1000)


def _arrive(run: Run) -> None:
    run("announce", "host-1-aa", LEASE_MS, QUEUE)


def _claim(run: Run, number: int) -> object:
    return run("claim", "host-1-aa", number, 2, LEASE_MS, 1000, 0, QUEUE)


def _prepared(run: Run) -> None:
    _arrive(run)
    _submit(run, "a", "b", "c")
    _claim(run, 1)


# For each script: what lies there before, and the call whose reply is lost.
CALLS: dict[str, tuple[Callable[[Run], object], tuple[object, ...]]] = {
    "announce": (lambda run: None, ("host-1-aa", LEASE_MS, QUEUE)),
    "cancel": (_prepared, ("c",)),
    "claim": (_prepared, ("host-1-aa", 2, 2, LEASE_MS, 1000, 0, QUEUE)),
    "finish": (_prepared, ("host-1-aa", 1, 5, "a", b"answer", "b", b"answer")),
    "give_back": (_prepared, ("host-1-aa", 1, "a", "b")),
    "probe": (_prepared, ("a", "c", "z")),
    "reap": (_prepared, ("lost", "host-1", 0, b"given up")),
    "renew": (_prepared, ("host-1-aa", LEASE_MS)),
    "ring": (_prepared, (QUEUE,)),
    "state": (_prepared, ()),
    "submit": (_prepared, ("d", QUEUE, "high", "web", 60_000, b"image", 10, 1000)),
}


@pytest.fixture
def proxy(redis_server) -> Iterator[LosingProxy]:
    proxy = LosingProxy(redis_server.socket)
    yield proxy
    proxy.close()


def contents(client, partition: Partition) -> dict[str, object]:
    """All keys and values, without times."""
    found: dict[str, object] = {}
    for key in client.scan_iter():
        name = key.decode().removeprefix(partition.start)
        kind = client.type(key)
        if name == "expiries":
            found[name] = sorted(client.zrange(key, 0, -1))
        elif kind == b"list":
            found[name] = client.lrange(key, 0, -1)
        elif name == "accepted":
            entries = {uuid: entry.split() for uuid, entry in client.hgetall(key).items()}
            found[name] = {uuid: entry[:2] + entry[3:] for uuid, entry in entries.items()}
        elif kind == b"hash":
            found[name] = client.hgetall(key)
        elif kind == b"set":
            found[name] = client.smembers(key)
        else:
            found[name] = client.get(key)
    return found


def test_the_table_of_calls_covers_every_script() -> None:
    assert set(CALLS) == set(scripts.NAMES)


@pytest.mark.parametrize("script", scripts.NAMES)
def test_a_script_whose_reply_is_lost_has_its_effect_once(script, redis_server, partitions, proxy) -> None:
    prepare, arguments = CALLS[script]
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
    waiting = [web.submit("digits", "1", b"%d" % i, deadline_s=20) for i in range(3)]
    worker = new_worker(connect(proxy.url), heartbeat_ms=50_000, lease_ms=60_000)
    until(lambda: redis_server.client.exists(partitions[0].start + "reaper"))  # the only heartbeat is over
    proxy.to_lose = 2
    with pytest.raises(BrokerUnavailable):
        worker.claim(2)
    batch = claimed(worker, 2)
    assert [job.payload for job in batch.jobs] == [b"0", b"1"]
    worker.finish(batch, answers(batch), seconds=0)
    batch = claimed(worker, 2)
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
    assert worker.claim(1) is None
    assert worker.finish(batch, answers(batch), seconds=0) == 1
    assert waiting.result() == b"answer to x"
