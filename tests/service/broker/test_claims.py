"""Neither a priority nor a queue nor a partition starves while all the others never run dry."""

from collections import Counter

import pytest

from service.broker import connect
from service.broker.claims import Claims, Mode

from .answering import accepted, answers, claimed

PRIORITIES = ("high", "normal", "low")


@pytest.mark.parametrize("queues", range(1, 10))
def test_every_queue_is_the_first_to_be_looked_at_in_every_turn(queues) -> None:
    claims = Claims({f"m:{i}": i + 1 for i in range(queues)})
    seen: Counter[tuple[int, str]] = Counter()
    for number in range(1, 8 * 8 * queues + 1):
        _, _, _, turn, _, first, most, *_ = claims.arguments(number, 2000, Mode.LOOK)
        assert most == int(first[2:]) + 1
        seen[turn, first] += 1
        claims.taken()
    assert {turn for turn, _ in seen} == {0, 1, 2}
    for i in range(queues):
        assert seen[0, f"m:{i}"] >= 8 * 5
        assert seen[1, f"m:{i}"] == seen[2, f"m:{i}"] == 8


def test_a_claim_that_is_repeated_is_the_same(partitions) -> None:
    claims = Claims({"a:1": 2, "b:1": 3})
    assert claims.arguments(1, 2000, Mode.WAIT) == claims.arguments(1, 2000, Mode.WAIT)
    assert claims.arguments(1, 2000, Mode.WAIT)[-4:] == ("a:1", 2, "b:1", 3)


def test_no_priority_starves_while_none_of_the_lists_is_ever_empty(partitions, new_web, new_worker) -> None:
    web, worker = new_web(partitions), new_worker(partitions, most=2)
    for priority in PRIORITIES:
        for _ in range(4):
            accepted(web.submit("digits", "1", priority.encode(), deadline_s=20, priority=priority))
    taken: Counter[str] = Counter()
    for _ in range(32):
        batch = claimed(worker)
        for job in batch.jobs:
            priority = job.payload.decode()
            taken[priority] += 1
            accepted(web.submit("digits", "1", job.payload, deadline_s=20, priority=priority))
        worker.finish(batch, answers(batch), seconds=0)
    assert taken == {"high": 48, "normal": 8, "low": 8}


def test_low_jobs_of_every_partition_have_their_turn(redis_server, new_web, new_worker) -> None:
    tags = ("one", "two")
    webs = {tag: new_web(connect(f"{redis_server.url}?partition={tag}")) for tag in tags}
    worker = new_worker(connect(",".join(f"{redis_server.url}?partition={tag}" for tag in tags)), most=1)

    def submit(tag: str, priority: str) -> None:
        payload = f"{tag} {priority}".encode()
        accepted(webs[tag].submit("digits", "1", payload, deadline_s=20, priority=priority))

    for tag in tags:
        for priority in ("high", "high", "low"):
            submit(tag, priority)
    taken: Counter[str] = Counter()
    batch = claimed(worker)
    for _ in range(64):
        payload = batch.jobs[0].payload.decode()
        taken[payload] += 1
        submit(*payload.split())
        batch = worker.finish(batch, answers(batch), seconds=0, claim=True).next
    assert taken["one low"] == taken["two low"] == 4
    assert taken["one high"] == taken["two high"]
