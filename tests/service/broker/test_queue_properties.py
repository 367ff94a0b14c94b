"""The promise of the queue, against a real server: any order of steps, any of them repeated, any worker lost."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.broker import Partition, keys

QUEUES = ("digits:1", "animals:1")
WORKERS = ("east-1-aa", "east-2-bb", "west-1-cc")
WEBS = ("web1", "web2")
MAX_JOBS, MAX_BYTES = 12, 600
TTL_MS = 600_000
LEASE_MS = 600_000
GIVEN_UP = b"given up"

PICK = st.integers(0, 1000)
AGAIN = st.booleans()


@dataclass
class Job:
    """What the model knows of an accepted job that has no answer."""

    queue: str
    priority: str
    size: int
    web: str
    attempts: int = 0
    expired: bool = False


class QueueMachine(RuleBasedStateMachine):
    """Runs each step on the server and on a model of lists; the two must agree."""

    def __init__(self, partition: Partition, client: redis.Redis) -> None:
        super().__init__()
        self.partition, self.client = partition, client
        client.flushall()
        self.jobs: dict[str, Job] = {}
        self.lists: dict[tuple[str, str], list[str]] = {(q, p): [] for q in QUEUES for p in keys.PRIORITIES}
        self.batches: dict[tuple[str, int], list[str]] = {}
        self.lost: list[tuple[str, int, list[str]]] = []
        self.alive: dict[str, bool] = {}
        self.numbers = dict.fromkeys(WORKERS, 1)
        self.ended: dict[str, str] = {}
        self.answers: dict[str, bytes] = {}
        self.submitted = 0

    def key(self, name: str) -> str:
        return self.partition.start + name

    def run(self, again: bool, script: str, *arguments: object) -> object:
        """The reply; where it is lost (`again`), that of the repetition."""
        reply = self.partition.run(script, *arguments)
        return self.partition.run(script, *arguments) if again else reply

    def end(self, uuid: str, how: str, answer: bytes | None = None) -> None:
        assert uuid not in self.ended
        self.ended[uuid] = how
        if answer is not None:
            self.answers[uuid] = answer
        job = self.jobs.pop(uuid)
        waiting = self.lists[job.queue, job.priority]
        if uuid in waiting:
            waiting.remove(uuid)

    def sweep(self) -> None:
        for uuid in [uuid for uuid, job in self.jobs.items() if job.expired]:
            self.end(uuid, "expired")

    def over_bounds(self, size: int) -> bool:
        return len(self.jobs) >= MAX_JOBS or sum(job.size for job in self.jobs.values()) + size > MAX_BYTES

    @initialize()
    def workers_arrive(self) -> None:
        for worker in WORKERS:
            self.announce(worker, again=False)

    @rule(
        queue=st.sampled_from(QUEUES),
        priority=st.sampled_from(("normal", "normal", "high", "low")),
        sizes=st.lists(st.integers(1, 120), min_size=1, max_size=5),
        web=st.sampled_from(WEBS),
        again=AGAIN,
    )
    def submit(self, queue: str, priority: str, sizes: list[int], web: str, again: bool) -> None:
        for size in sizes:
            self.submit_one(queue, priority, size, web, again)

    def submit_one(self, queue: str, priority: str, size: int, web: str, again: bool) -> None:
        self.submitted += 1
        uuid = f"job{self.submitted}"
        if self.over_bounds(size):
            self.sweep()
        fits = not self.over_bounds(size)
        outcome, _ = self.run(again, "submit", uuid, queue, priority, web, TTL_MS, b"x" * size, MAX_JOBS, MAX_BYTES)
        if not fits:
            assert outcome == b"full"
            return
        assert outcome == (b"known" if again else b"accepted")
        self.jobs[uuid] = Job(queue, priority, size, web)
        self.lists[queue, priority].append(uuid)

    @precondition(lambda self: not all(map(self.alive.get, WORKERS)))
    @rule(again=AGAIN)
    def all_come_back(self, again: bool) -> None:
        for worker in WORKERS:
            if not self.alive.get(worker):
                self.announce(worker, again)

    def announce(self, worker: str, again: bool) -> None:
        """As a worker does: what it held before a lapse goes back first."""
        if not self.alive.get(worker):
            self.run(again, "reap", "lapsed", worker, 0, GIVEN_UP)
            self.lose([worker])
        self.run(again, "announce", worker, LEASE_MS, " ".join(QUEUES))
        self.alive[worker] = True

    def expected_claim(self, queues: list[str], most: int, from_low: bool) -> list[str]:
        priorities = list(reversed(keys.PRIORITIES)) if from_low else list(keys.PRIORITIES)
        batch: list[str] = []
        closed = False

        def fill(queue: str, priority: str) -> None:
            nonlocal closed
            waiting = self.lists[queue, priority]
            while waiting and len(batch) < most and not closed:
                job = self.jobs[waiting[0]]
                if job.attempts and batch:
                    closed = True
                elif job.expired:
                    self.end(waiting[0], "expired")
                else:
                    batch.append(waiting.pop(0))
                    closed = job.attempts > 0

        for place, priority in enumerate(priorities):
            for queue in queues:
                fill(queue, priority)
                if batch:
                    for other in priorities[place + 1 :]:
                        fill(queue, other)
                    return batch
        return []

    @rule(
        worker=st.sampled_from(WORKERS),
        queues=st.permutations(QUEUES),
        most=st.integers(1, 5),
        from_low=st.booleans(),
        inline=st.sampled_from((0, 10**6)),
        again=AGAIN,
    )
    def claim(self, worker: str, queues: list[str], most: int, from_low: bool, inline: int, again: bool) -> None:
        self.claim_batch(worker, list(queues), most, from_low, inline, again)

    @rule(again=AGAIN)
    def every_worker_claims_and_dies(self, again: bool) -> None:
        for worker in WORKERS:
            self.claim_batch(worker, list(QUEUES), 3, False, 0, again)
            self.run(again, "reap", "lost", worker, 0, GIVEN_UP)
            self.lose([worker])
            self.announce(worker, again)

    def claim_batch(self, worker: str, queues: list[str], most: int, from_low: bool, inline: int, again: bool) -> None:
        number = self.numbers[worker]
        reply = self.run(again, "claim", worker, number, most, LEASE_MS, inline, int(from_low), *queues)
        if not self.alive.get(worker):
            assert reply == b"lapsed"
            return
        expected = self.expected_claim(queues, most, from_low)
        if not expected:
            assert reply == []
            return
        assert reply[0].decode() == self.jobs[expected[0]].queue
        rows = [reply[i : i + 4] for i in range(1, len(reply), 4)]
        assert [row[0].decode() for row in rows] == expected
        assert [row[1] for row in rows] == [self.jobs[uuid].attempts for uuid in expected]
        sizes = [self.jobs[uuid].size for uuid in expected]
        assert [row[3] for row in rows] == [b"x" * size if inline else None for size in sizes]
        self.batches[worker, number] = expected
        self.numbers[worker] += 1

    def pick_batch(self, pick: int) -> tuple[str, int]:
        return sorted(self.batches)[pick % len(self.batches)]

    @precondition(lambda self: self.batches)
    @rule(pick=PICK, count=st.integers(1, 5), again=AGAIN)
    def finish(self, pick: int, count: int, again: bool) -> None:
        worker, number = self.pick_batch(pick)
        batch = self.batches[worker, number]
        answered = batch[:count]
        live = [uuid for uuid in answered if uuid in self.jobs]
        arguments = [part for uuid in answered for part in (uuid, b"by " + worker.encode())]
        accepted = self.run(again, "finish", worker, number, 5, "stranger", b"?", *arguments)
        assert accepted == (0 if again else len(live))
        for uuid in live:
            self.end(uuid, "answered", b"by " + worker.encode())
        self.keep_rest(worker, number, batch[count:])

    @precondition(lambda self: self.lost)
    @rule(pick=PICK)
    def late_finish_and_give_back_are_refused(self, pick: int) -> None:
        worker, number, batch = self.lost[pick % len(self.lost)]
        arguments = [part for uuid in batch for part in (uuid, b"late")]
        assert self.run(False, "finish", worker, number, 5, *arguments) == 0
        assert self.run(False, "give_back", worker, number, *batch) == 0

    @precondition(lambda self: self.batches)
    @rule(pick=PICK, count=st.integers(1, 5), again=AGAIN)
    def give_back(self, pick: int, count: int, again: bool) -> None:
        worker, number = self.pick_batch(pick)
        batch = self.batches[worker, number]
        self.run(again, "give_back", worker, number, *batch[:count])
        self.to_head(batch[:count])
        self.keep_rest(worker, number, batch[count:])

    def keep_rest(self, worker: str, number: int, rest: list[str]) -> None:
        if rest:
            self.batches[worker, number] = rest
        else:
            del self.batches[worker, number]

    def to_head(self, uuids: list[str]) -> None:
        for uuid in reversed([uuid for uuid in uuids if uuid in self.jobs]):
            job = self.jobs[uuid]
            if job.expired:
                self.end(uuid, "expired")
            else:
                self.lists[job.queue, job.priority].insert(0, uuid)

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK, again=AGAIN)
    def cancel(self, pick: int, again: bool) -> None:
        uuid = sorted(self.jobs)[pick % len(self.jobs)]
        assert self.run(again, "cancel", uuid) == (0 if again else 1)
        self.end(uuid, "cancelled")

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def deadline_passes(self, pick: int) -> None:
        uuid = sorted(self.jobs)[pick % len(self.jobs)]
        self.client.unlink(self.key(f"job:{uuid}"))
        self.client.zadd(self.key("expiries"), {uuid: 1})
        self.jobs[uuid].expired = True

    @rule(worker=st.sampled_from(WORKERS))
    def lease_runs_out(self, worker: str) -> None:
        self.client.delete(self.key(f"lease:{worker}"))
        if worker in self.alive:
            self.alive[worker] = False

    @rule(worker=st.sampled_from(WORKERS), again=AGAIN)
    def renew(self, worker: str, again: bool) -> None:
        assert self.run(again, "renew", worker, LEASE_MS) == int(self.alive.get(worker, False))

    def lose(self, workers: list[str]) -> None:
        """The model's side of a reap, except for the order in which several workers are looked at."""
        for worker in workers:
            self.alive.pop(worker, None)
            for batch in sorted(key for key in self.batches if key[0] == worker)[::-1]:
                self.lost.append((*batch, self.batches[batch]))
                for uuid in reversed(self.batches.pop(batch)):
                    job = self.jobs.get(uuid)
                    if job is None:
                        continue
                    job.attempts += 1
                    if job.attempts > 2:
                        self.end(uuid, "given up", GIVEN_UP)
                    elif job.expired:
                        self.end(uuid, "expired")
                    elif job.attempts == 1:
                        self.lists[job.queue, job.priority].insert(0, uuid)
                    else:
                        self.lists[job.queue, job.priority].append(uuid)

    @rule(again=AGAIN)
    def reap_lapsed(self, again: bool) -> None:
        gone = [w for w in self.client.smembers(self.key("workers")) if not self.alive.get(w.decode())]
        self.client.delete(self.key("reaper"))
        reply = self.run(False, "reap", "lapsed", "", 60_000, GIVEN_UP)
        assert reply[0] == len(gone)
        self.sweep()
        self.lose([worker.decode() for worker in gone])
        # The order among workers that are reaped together is the server's own; take over what it made of it.
        for queue, priority in self.lists:
            waiting = self.server_list(queue, priority)
            assert sorted(waiting) == sorted(self.lists[queue, priority])
            self.lists[queue, priority] = waiting
        if again:
            assert self.run(False, "reap", "lapsed", "", 60_000, GIVEN_UP) == [0, 0, 0]

    @rule(worker=st.sampled_from(WORKERS), again=AGAIN, by_process=st.booleans())
    def supervisor_sees_it_die(self, worker: str, again: bool, by_process: bool) -> None:
        name = worker.rpartition("-")[0] if by_process else worker
        self.run(again, "reap", "lost", name, 0, GIVEN_UP)
        self.lose([worker])

    @rule(worker=st.sampled_from(WORKERS), again=AGAIN)
    def leave(self, worker: str, again: bool) -> None:
        self.run(again, "reap", "left", worker, 0, GIVEN_UP)
        self.alive.pop(worker, None)
        for batch in sorted(key for key in self.batches if key[0] == worker)[::-1]:
            self.to_head(self.batches.pop(batch))

    @rule()
    def look_at_the_state(self) -> None:
        reply = self.partition.run("state")
        self.sweep()
        assert reply[0] == len(self.jobs)
        assert int(reply[1]) == sum(job.size for job in self.jobs.values())
        rows = {reply[i].decode(): (reply[i + 1], reply[i + 2]) for i in range(2, len(reply), 4)}
        alive = sum(self.alive.values())
        jobs = {queue: sum(job.queue == queue for job in self.jobs.values()) for queue in QUEUES}
        assert rows == {queue: (jobs[queue], alive) for queue in QUEUES if jobs[queue] or alive}

    @precondition(lambda self: self.submitted)
    @rule()
    def probe(self) -> None:
        uuids = [f"job{number}" for number in range(1, self.submitted + 2)]
        expected = [self.answers.get(uuid, int(uuid in self.jobs)) for uuid in uuids]
        assert self.partition.run("probe", *uuids) == expected

    def server_list(self, queue: str, priority: str) -> list[str]:
        return [uuid.decode() for uuid in self.client.lrange(self.key(f"{queue}:queue:{priority}"), 0, -1)]

    @invariant()
    def queues_agree_with_the_model(self) -> None:
        for (queue, priority), expected in self.lists.items():
            assert self.server_list(queue, priority) == expected

    @invariant()
    def sums_agree_with_the_jobs(self) -> None:
        load = {name.decode(): int(value) for name, value in self.client.hgetall(self.key("load")).items()}
        expected = {f"jobs:{q}": sum(job.queue == q for job in self.jobs.values()) for q in QUEUES}
        expected["bytes"] = sum(job.size for job in self.jobs.values())
        assert load == {name: value for name, value in expected.items() if value}
        uuids = {uuid.decode() for uuid in self.client.hkeys(self.key("accepted"))}
        assert uuids == set(self.jobs)
        assert {uuid.decode() for uuid in self.client.zrange(self.key("expiries"), 0, -1)} == uuids

    @invariant()
    def every_job_is_answered_at_most_once(self) -> None:
        replies: dict[str, bytes] = {}
        for web in WEBS:
            for reply in self.client.lrange(self.key(f"reply:{web}"), 0, -1):
                uuid, _, answer = reply.partition(b" ")
                assert uuid.decode() not in replies
                replies[uuid.decode()] = answer
        assert replies == self.answers
        for uuid, answer in self.answers.items():
            assert self.client.get(self.key(f"result:{uuid}")) == answer

    @invariant()
    def every_key_is_on_the_map_and_expires(self) -> None:
        assert_keys_are_on_the_map(self.client, self.partition.start)

    def teardown(self) -> None:
        """No job is lost: a fresh worker gets everything that was accepted and has not ended otherwise."""
        for worker in WORKERS:
            self.partition.run("reap", "left", worker, 0, GIVEN_UP)
        self.partition.run("announce", "last-1-zz", LEASE_MS, " ".join(QUEUES))
        for number in range(1, self.submitted + 2):
            reply = self.partition.run("claim", "last-1-zz", number, 3, LEASE_MS, 0, 0, *QUEUES)
            for uuid in (reply[i].decode() for i in range(1, len(reply), 4)):
                assert self.partition.run("finish", "last-1-zz", number, 0, uuid, b"last") == 1
                self.ended[uuid] = "answered"
                del self.jobs[uuid]
        assert all(job.expired for job in self.jobs.values())
        self.partition.run("state")
        for name in ("accepted", "expiries", "load"):
            assert not self.client.exists(self.key(name))


def assert_keys_are_on_the_map(client: redis.Redis, start: str) -> None:
    """Each key matches a pattern of the key map, with its type, and has a time to live."""
    names = list(client.keys())
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.type(name)
        pipeline.pttl(name)
    for name, (kind, ttl_ms) in zip(names, _pairs(pipeline.execute()), strict=True):
        short = name.decode().removeprefix(start)
        assert any(re.fullmatch(pattern, short) for pattern in keys.PATTERNS[kind.decode()]), name
        assert ttl_ms > 0, f"{name!r} never expires"


def _pairs(values: list[object]) -> Iterator[tuple[bytes, int]]:
    return zip(values[::2], values[1::2], strict=True)  # type: ignore[arg-type]


def test_every_order_of_steps_keeps_the_promise(redis_server, partitions) -> None:
    run_state_machine_as_test(
        lambda: QueueMachine(partitions[0], redis_server.client),
        settings=settings(
            max_examples=80,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
