"""The promise of the queue, against a real server: any order of steps, any of them repeated, any worker lost."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
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
LOOK, WAIT, AHEAD = 0, 1, 2
ORDERS = (("high", "normal", "low"), ("normal", "high", "low"), ("low", "high", "normal"))

PICK = st.integers(0, 1000)
AGAIN = st.booleans()


@dataclass
class Job:
    """What the model knows of a job that has an entry.

    Attributes:
        gone: it was cancelled, or its deadline passed: nobody waits for it, and its entry is yet to be met.
        expired: its deadline passed.
    """

    queue: str
    priority: str
    size: int
    web: str
    entry: str
    attempts: int = 0
    gone: bool = False
    expired: bool = False


@dataclass(frozen=True)
class Wish:
    """What a worker asks for when it claims."""

    queues: tuple[str, ...] = QUEUES
    most: int = 3
    turn: int = 0
    mode: int = LOOK
    inline: int = 10**6


WISHES = st.builds(
    Wish,
    st.permutations(QUEUES).map(tuple),
    st.integers(1, 5),
    st.sampled_from((0, 0, 1, 2)),
    st.sampled_from((LOOK, WAIT, WAIT, AHEAD)),
    st.sampled_from((0, 10**6)),
)


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
        self.waiting: set[str] = set()
        self.handed: dict[str, int] = {}
        self.unread: set[str] = set()
        self.ended: dict[str, str] = {}
        self.answers: dict[str, bytes] = {}
        self.submitted = 0

    def key(self, name: str) -> str:
        return self.partition.start + name

    def run(self, again: bool, script: str, *arguments: object) -> object:
        """The reply; where it is lost (`again`), that of the repetition. Nobody has just tidied or reaped."""
        reply = None
        for _ in range(1 + again):
            self.client.delete(self.key("tidier"), self.key("reaper"))
            reply = self.partition.run(script, *arguments)
        return reply

    def end(self, uuid: str, how: str, answer: bytes | None = None) -> None:
        """Its entry is no more."""
        assert uuid not in self.ended
        self.ended[uuid] = how
        if answer is not None:
            self.answers[uuid] = answer
        job = self.jobs.pop(uuid)
        waiting = self.lists[job.queue, job.priority]
        if uuid in waiting:
            waiting.remove(uuid)

    def sweep(self) -> None:
        for waiting in self.lists.values():
            for uuid in [uuid for uuid in waiting if self.jobs[uuid].expired]:
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
        named = {worker.decode() for worker in self.client.smembers(self.key(f"{queue}:idle"))}
        ready = named & self.waiting
        if self.over_bounds(size):
            self.sweep()
        fits = not self.over_bounds(size)
        arguments = (uuid, queue, priority, web, TTL_MS, b"x" * size, MAX_JOBS, MAX_BYTES)
        outcome, _, entry = self.run(False, "submit", *arguments, 0)
        if again:
            repeated = self.run(False, "submit", *arguments, 1)
            assert repeated[0] == (b"known" if fits else b"full")
        if not fits:
            assert outcome == b"full"
            return
        assert outcome == b"accepted"
        self.jobs[uuid] = Job(queue, priority, size, web, entry.decode())
        if not ready:
            self.lists[queue, priority].append(uuid)
            return
        holders = [w for w in WORKERS if self.client.hexists(self.key(f"claimed:{w}"), uuid)]
        assert len(holders) == 1
        assert holders[0] in ready
        self.hand_over(holders[0], uuid)

    def hand_over(self, worker: str, uuid: str) -> None:
        number, job = self.numbers[worker], self.jobs[uuid]
        mail = self.client.lindex(self.key(f"mail:{worker}"), -1)
        assert mail == f"{number} {job.queue} {uuid} {TTL_MS}\n".encode() + b"x" * job.size
        self.waiting.discard(worker)
        self.unread.add(worker)
        self.handed[worker] = number
        self.batches[worker, number] = [uuid]

    @precondition(lambda self: self.unread)
    @rule(pick=PICK)
    def mail_is_read(self, pick: int) -> None:
        worker = sorted(self.unread)[pick % len(self.unread)]
        self.client.delete(self.key(f"mail:{worker}"))
        self.unread.discard(worker)

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
            self.numbers[worker] += 1
        self.run(again, "announce", worker, LEASE_MS, " ".join(QUEUES))
        self.alive[worker] = True

    def expected_batch(self, wish: Wish) -> list[str]:
        batch: list[str] = []
        closed = False

        def fill(queue: str, priority: str) -> None:
            nonlocal closed
            waiting = self.lists[queue, priority]
            while waiting and len(batch) < wish.most and not closed:
                job = self.jobs[waiting[0]]
                if job.attempts and (batch or wish.mode == AHEAD):
                    closed = True
                elif job.gone and wish.inline:
                    self.end(waiting[0], "met when it was gone")
                else:
                    batch.append(waiting.pop(0))
                    closed = job.attempts > 0

        order = ORDERS[wish.turn]
        for place, priority in enumerate(order):
            for queue in wish.queues:
                closed = False
                fill(queue, priority)
                if closed and not batch:
                    return []  # ahead: nothing overtakes a suspect whose turn it is
                if batch:
                    for other in order[place + 1 :]:
                        fill(queue, other)
                    return batch
        return []

    @staticmethod
    def arguments(number: int, wish: Wish) -> tuple[object, ...]:
        pairs = [part for queue in wish.queues for part in (queue, wish.most)]
        return (number, LEASE_MS, wish.inline, wish.turn, wish.mode, *pairs)

    @rule(worker=st.sampled_from(WORKERS), wish=WISHES, again=AGAIN)
    def claim(self, worker: str, wish: Wish, again: bool) -> None:
        reply = self.run(again, "claim", worker, *self.arguments(self.numbers[worker], wish))
        self.check_claim(worker, wish, reply)

    @rule(again=AGAIN)
    def every_worker_claims_and_dies(self, again: bool) -> None:
        for worker in WORKERS:
            self.claim(worker, Wish(), again)
            self.die(worker, "lost", worker, again)
            self.announce(worker, again)

    def check_claim(self, worker: str, wish: Wish, reply: object) -> None:
        number = self.numbers[worker]
        if not self.alive.get(worker):
            assert reply == b"lapsed"
            return
        expected = self.take_handed(worker, wish) or self.expected_batch(wish)
        if wish.mode != WAIT or expected:
            self.waiting.discard(worker)
        if not expected:
            assert reply == []
            if wish.mode == WAIT:
                self.waiting.add(worker)
            return
        assert isinstance(reply, list)
        assert reply[0].decode() == self.jobs[expected[0]].queue
        rows = [reply[i : i + 4] for i in range(1, len(reply), 4)]
        assert [row[0].decode() for row in rows] == expected
        jobs = [self.jobs[uuid] for uuid in expected]
        assert [row[1] for row in rows] == [job.attempts for job in jobs]
        assert [row[3] for row in rows] == [b"x" * job.size if wish.inline else None for job in jobs]
        self.batches[worker, number] = expected
        self.numbers[worker] += 1

    def take_handed(self, worker: str, wish: Wish) -> list[str]:
        """What was handed over under the number that is claimed now."""
        if self.handed.pop(worker, None) is None:
            return []
        self.unread.discard(worker)
        batch = self.batches.pop((worker, self.numbers[worker]), [])
        for uuid in [uuid for uuid in batch if self.jobs[uuid].gone and wish.inline]:
            self.end(uuid, "met when it was gone")
            batch.remove(uuid)
        return batch

    def pick_batch(self, pick: int) -> tuple[str, int]:
        """Of those that their worker knows of."""
        return sorted(self.known_batches())[pick % len(self.known_batches())]

    def known_batches(self) -> list[tuple[str, int]]:
        return [batch for batch in self.batches if self.handed.get(batch[0]) != batch[1]]

    @precondition(lambda self: self.known_batches())
    @rule(pick=PICK, count=st.integers(1, 5), wish=st.none() | WISHES, again=AGAIN)
    def finish(self, pick: int, count: int, wish: Wish | None, again: bool) -> None:
        worker, number = self.pick_batch(pick)
        batch = self.batches[worker, number]
        answered = batch[:count]
        live = [uuid for uuid in answered if not self.jobs[uuid].gone]
        pairs = [part for uuid in answered for part in (uuid, b"by " + worker.encode())]
        arguments = self.arguments(self.numbers[worker], wish) if wish else ()
        answers = ("stranger", b"?", *pairs)
        reply = self.run(again, "finish", worker, number, 5, len(answers) // 2, *answers, *arguments)
        assert reply[0] == (0 if again else len(live))
        refused = set(answered) if again else set(answered) - set(live)
        assert {uuid.decode() for uuid in reply[1]} == {"stranger"} | refused
        for uuid in answered:
            if uuid in live:
                self.end(uuid, "answered", b"by " + worker.encode())
            else:
                self.end(uuid, "finished when it was gone")
        self.keep_rest(worker, number, batch[count:])
        if wish:
            self.check_claim(worker, wish, reply[2])

    @precondition(lambda self: self.lost)
    @rule(pick=PICK)
    def late_finish_and_give_back_are_refused(self, pick: int) -> None:
        worker, number, batch = self.lost[pick % len(self.lost)]
        pairs = [part for uuid in batch for part in (uuid, b"late")]
        reply = self.run(False, "finish", worker, number, 5, len(batch), *pairs)
        assert reply == [0, [uuid.encode() for uuid in batch]]
        assert self.run(False, "give_back", worker, number, *batch) == 0

    @precondition(lambda self: self.known_batches())
    @rule(pick=PICK, count=st.integers(1, 5), again=AGAIN)
    def give_back(self, pick: int, count: int, again: bool) -> None:
        worker, number = self.pick_batch(pick)
        batch = self.batches[worker, number]
        self.run(again, "give_back", worker, number, *batch[:count])
        for uuid in reversed(batch[:count]):
            self.send_back(uuid, 0)
        self.keep_rest(worker, number, batch[count:])

    def keep_rest(self, worker: str, number: int, rest: list[str]) -> None:
        if rest:
            self.batches[worker, number] = rest
        else:
            del self.batches[worker, number]

    def send_back(self, uuid: str, place: int | None) -> None:
        """To the head of its list (0), or its tail (None)."""
        job = self.jobs[uuid]
        if job.gone:
            self.end(uuid, "returned when it was gone")
            return
        waiting = self.lists[job.queue, job.priority]
        waiting.insert(len(waiting) if place is None else place, uuid)

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK, again=AGAIN, knows_entry=st.sampled_from((True, True, False)))
    def cancel(self, pick: int, again: bool, knows_entry: bool) -> None:
        uuid = sorted(self.jobs)[pick % len(self.jobs)]
        job = self.jobs[uuid]
        there = not job.gone and not again
        entry = job.entry if knows_entry else ""
        assert self.run(again, "cancel", uuid, job.queue, job.priority, entry) == int(there)
        if knows_entry and not job.attempts and not job.expired and uuid in self.lists[job.queue, job.priority]:
            self.end(uuid, "cancelled")
        else:
            job.gone = True

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def deadline_passes(self, pick: int) -> None:
        uuid = sorted(self.jobs)[pick % len(self.jobs)]
        job = self.jobs[uuid]
        self.client.unlink(self.key(f"job:{uuid}"))
        list_name = self.key(f"{job.queue}:queue:{job.priority}")
        for place, entry in enumerate(self.client.lrange(list_name, 0, -1)):
            if entry.split()[0] == uuid.encode():
                self.client.lset(list_name, place, re.sub(rb"^(\S+) \d+", rb"\1 1", entry))
        for worker in WORKERS:
            held = self.client.hget(self.key(f"claimed:{worker}"), uuid)
            if held:
                self.client.hset(self.key(f"claimed:{worker}"), uuid, re.sub(rb" \d{13} ", b" 1 ", held))
        job.gone = job.expired = True

    @rule(worker=st.sampled_from(WORKERS))
    def lease_runs_out(self, worker: str) -> None:
        self.client.delete(self.key(f"lease:{worker}"))
        if worker in self.alive:
            self.alive[worker] = False

    @rule(worker=st.sampled_from(WORKERS), again=AGAIN)
    def renew(self, worker: str, again: bool) -> None:
        assert self.run(again, "renew", worker, LEASE_MS) == int(self.alive.get(worker, False))

    def lose(self, workers: list[str], most_attempts: int = 2, counts: bool = True) -> None:
        """The model's side of a reap, except for the order in which several workers are looked at."""
        for worker in workers:
            self.alive.pop(worker, None)
            self.waiting.discard(worker)
            handed, unread = self.handed.pop(worker, None), worker in self.unread
            self.unread.discard(worker)
            held = sorted((batch for batch in self.batches if batch[0] == worker), reverse=True)
            looked_at = [batch for batch in held if not (unread and batch[1] == handed)]
            for batch in held:
                if batch[1] != handed:
                    self.lost.append((*batch, self.batches[batch]))
                for uuid in reversed(self.batches.pop(batch)):
                    if counts and batch in looked_at:
                        self.suspect(uuid, len(looked_at) == 1, most_attempts)
                    else:
                        self.send_back(uuid, 0)

    def suspect(self, uuid: str, alone: bool, most_attempts: int) -> None:
        job = self.jobs[uuid]
        if alone and job.attempts >= most_attempts:
            if job.gone:
                self.end(uuid, "given up when it was gone")
            else:
                self.end(uuid, "given up", GIVEN_UP)
            return
        job.attempts = job.attempts + 1 if alone else max(job.attempts, 1)
        self.send_back(uuid, 0 if job.attempts == 1 else None)

    @rule(again=AGAIN)
    def reap_lapsed(self, again: bool) -> None:
        gone = [w for w in self.client.smembers(self.key("workers")) if not self.alive.get(w.decode())]
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
            assert self.partition.run("reap", "lapsed", "", 60_000, GIVEN_UP) == [0, 0, 0]

    @rule(
        worker=st.sampled_from(WORKERS),
        mode=st.sampled_from(("lost", "crashed", "left")),
        again=AGAIN,
        by_process=st.booleans(),
    )
    def supervisor_sees_it_end(self, worker: str, mode: str, again: bool, by_process: bool) -> None:
        self.die(worker, mode, worker.rpartition("-")[0] if by_process else worker, again)

    def die(self, worker: str, mode: str, name: str, again: bool) -> None:
        self.run(again, "reap", mode, name, 0, GIVEN_UP)
        self.lose([worker], 1 if mode == "crashed" else 2, mode != "left")

    @rule()
    def look_at_the_state(self) -> None:
        reply = self.run(False, "state")
        self.sweep()
        assert reply[0] == len(self.jobs)
        assert int(reply[1]) == sum(job.size for job in self.jobs.values())
        rows = {reply[i].decode(): (reply[i + 1], reply[i + 2]) for i in range(2, len(reply), 4)}
        alive = sum(self.alive.values())
        jobs = {queue: sum(job.queue == queue for job in self.jobs.values()) for queue in QUEUES}
        assert rows == {queue: (jobs[queue], alive) for queue in QUEUES if jobs[queue] or alive}

    @rule(queue=st.sampled_from(QUEUES), jobs=st.integers(0, 20), size=st.integers(0, 700), lost=st.booleans())
    def sums_are_damaged_and_put_right(self, queue: str, jobs: int, size: int, lost: bool) -> None:
        load = self.key("load")
        right = sum(job.queue == queue for job in self.jobs.values())
        if lost and any(self.alive.values()):  # who serves a queue, or submits to it, tells that it is there
            self.client.delete(load)
        elif jobs != right:
            self.client.hset(load, mapping={"jobs": jobs, "bytes": size, f"jobs:{queue}": jobs})
            self.client.pexpire(load, 60_000)
        self.look_at_the_state()

    @precondition(lambda self: self.submitted)
    @rule()
    def probe(self) -> None:
        uuids = [f"job{number}" for number in range(1, self.submitted + 2)]
        there = {uuid for uuid, job in self.jobs.items() if not job.gone}
        expected = [self.answers.get(uuid, int(uuid in there)) for uuid in uuids]
        assert self.run(False, "probe", *uuids) == expected

    def server_list(self, queue: str, priority: str) -> list[str]:
        entries = self.client.lrange(self.key(f"{queue}:queue:{priority}"), 0, -1)
        return [entry.split()[0].decode() for entry in entries]

    @invariant()
    def queues_agree_with_the_model(self) -> None:
        for (queue, priority), expected in self.lists.items():
            assert self.server_list(queue, priority) == expected

    @invariant()
    def workers_hold_what_the_model_says(self) -> None:
        held: dict[tuple[str, int], dict[int, str]] = {}
        for worker in WORKERS:
            for uuid, text in self.client.hgetall(self.key(f"claimed:{worker}")).items():
                if uuid in (b"", b"serves"):
                    continue
                number, position = map(int, text.split()[:2])
                held.setdefault((worker, number), {})[position] = uuid.decode()
        batches = {batch: [rows[place] for place in sorted(rows)] for batch, rows in held.items()}
        assert batches == self.batches

    @invariant()
    def sums_agree_with_the_entries(self) -> None:
        load = {name.decode(): float(value) for name, value in self.client.hgetall(self.key("load")).items()}
        expected = {f"jobs:{q}": sum(job.queue == q for job in self.jobs.values()) for q in QUEUES}
        expected["jobs"] = len(self.jobs)
        expected["bytes"] = sum(job.size for job in self.jobs.values())
        assert {name: load.get(name, 0) for name in expected} == expected

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
            self.run(False, "reap", "left", worker, 0, GIVEN_UP)
        self.run(False, "announce", "last-1-zz", LEASE_MS, " ".join(QUEUES))
        left = {uuid for uuid, job in self.jobs.items() if not job.gone}
        for number in range(1, self.submitted + 2):
            reply = self.run(False, "claim", "last-1-zz", *self.arguments(number, Wish(turn=number % 3)))
            for uuid in (reply[i].decode() for i in range(1, len(reply), 4)):
                assert self.run(False, "finish", "last-1-zz", number, 0, 1, uuid, b"last") == [1, []]
                left.remove(uuid)
        assert not left
        assert self.run(False, "state")[:2] == [0, b"0"]


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


@pytest.mark.alone  # no key may expire between two looks at it
def test_every_order_of_steps_keeps_the_promise(redis_server, partitions) -> None:
    run_state_machine_as_test(
        lambda: QueueMachine(partitions[0], redis_server.client),
        settings=settings(
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
