"""What each script answers, branch by branch, without a server: the promise itself is tested on a real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fakeredis
import pytest

from service.broker import keys, scripts

START = keys.prefix("p")
QUEUE = "digits:1"
LOOK, WAIT, AHEAD = 0, 1, 2

Run = Callable[..., Any]


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    """An empty store."""
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


@pytest.fixture
def run(client: fakeredis.FakeRedis) -> Run:
    """Runs a script by name on the store."""

    def call(name: str, *arguments: Any) -> Any:
        return scripts.load(name).run(client.execute_command, START, arguments)

    return call


def submit(run: Run, uuid: str, *, payload: bytes = b"{}", jobs: int = 10, size: int = 1000, again: int = 0) -> bytes:
    return run("submit", uuid, QUEUE, "normal", "web", 30_000, payload, jobs, size, again)[0]


def wish(number: int, most: int = 8, mode: int = LOOK, inline: int = 65536) -> tuple[Any, ...]:
    return (number, 2000, inline, 0, mode, QUEUE, most)


def claim(run: Run, number: int = 1, most: int = 8, mode: int = LOOK, worker: str = "w") -> list[Any]:
    return run("claim", worker, *wish(number, most, mode))


def test_a_job_is_accepted_once(client: fakeredis.FakeRedis, run: Run) -> None:
    assert [submit(run, "a"), submit(run, "a"), submit(run, "a", again=1)] == [b"accepted", b"known", b"known"]
    assert client.llen(f"{START}{QUEUE}:queue:normal") == 1


def test_a_repetition_is_known_although_the_queue_is_full_by_now(run: Run) -> None:
    assert submit(run, "a", jobs=1) == b"accepted"
    assert [submit(run, "a", jobs=1, again=1), submit(run, "b", jobs=1, again=1)] == [b"known", b"full"]


@pytest.mark.parametrize(("jobs", "size"), [(2, 1000), (10, 5)])
def test_a_full_queue_refuses_by_jobs_and_by_bytes(run: Run, jobs: int, size: int) -> None:
    assert submit(run, "a", jobs=jobs, size=size) == b"accepted"
    assert submit(run, "b", jobs=jobs, size=size) == b"accepted"
    assert submit(run, "c", jobs=jobs, size=size) == b"full"
    assert submit(run, "c", jobs=0, size=size) == b"accepted"  # one that was accepted before


def test_a_batch_asked_for_again_is_the_same_batch(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    for uuid in ("a", "b", "c"):
        submit(run, uuid)
    first = claim(run, number=1, most=2)
    assert [first[0], first[1], first[5]] == [QUEUE.encode(), b"a", b"b"]
    assert claim(run, number=1, most=2)[1::4] == first[1::4]
    assert claim(run, number=2)[1] == b"c"


def test_payloads_come_along_while_they_are_small_together(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    for uuid, payload in (("a", b"x" * 6), ("b", b"x" * 60), ("c", b"x" * 4)):
        submit(run, uuid, payload=payload)
    assert run("claim", "w", *wish(1, inline=10))[4::4] == [b"x" * 6, None, b"x" * 4]


def test_who_has_no_lease_gets_nothing(run: Run) -> None:
    submit(run, "a")
    assert claim(run) == b"lapsed"
    assert run("finish", "w", 1, 0, 0, *wish(1)) == [0, [], b"lapsed"]


def test_only_members_of_the_batch_are_answered_and_only_once(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    submit(run, "a")
    submit(run, "b")
    claim(run, number=1, most=1)
    assert run("finish", "w", 1, 5, 2, "a", b"one", "b", b"two") == [1, [b"b"]]
    assert run("finish", "w", 1, 5, 1, "a", b"one") == [0, [b"a"]]
    assert run("probe", "a", "b", "c") == [b"one", 1, 0]
    assert submit(run, "a", again=1) == b"answered"


def test_answering_and_claiming_the_next_batch_are_one_step(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    submit(run, "a")
    claim(run, number=1)
    submit(run, "b")
    answered, refused, following = run("finish", "w", 1, 5, 1, "a", b"one", *wish(2, mode=WAIT))
    assert (answered, refused, following[1]) == (1, [], b"b")
    assert run("finish", "w", 2, 5, 1, "b", b"two", *wish(3, mode=WAIT)) == [1, [], []]


def test_a_job_is_handed_to_a_worker_that_waits(client: fakeredis.FakeRedis, run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    assert claim(run, mode=WAIT) == []
    submit(run, "a", payload=b"image")
    submit(run, "b")
    assert client.lrange(f"{START}mail:w", 0, -1) == [b"1 digits:1 a 30000\nimage"]
    assert client.llen(f"{START}{QUEUE}:queue:normal") == 1
    assert claim(run, number=1)[1] == b"a"
    assert not client.exists(f"{START}mail:w")


def test_who_looks_without_waiting_is_handed_nothing_more(client: fakeredis.FakeRedis, run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    claim(run, mode=WAIT)
    claim(run, mode=LOOK)
    submit(run, "a")
    assert not client.exists(f"{START}mail:w")
    assert claim(run)[1] == b"a"


def test_a_suspect_is_not_claimed_ahead(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    submit(run, "a")
    claim(run)
    run("reap", "lost", "w", 0, b"given up")
    run("announce", "w", 2000, QUEUE)
    submit(run, "b")
    assert claim(run, mode=AHEAD) == []
    assert claim(run, number=2)[1::4] == [b"a"]
    assert claim(run, number=3, mode=AHEAD)[1::4] == [b"b"]


def test_others_do_not_overtake_a_suspect_for_ever_by_being_claimed_ahead(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    run("submit", "a", QUEUE, "high", "web", 30_000, b"{}", 10, 1000, 0)
    claim(run)
    run("reap", "lost", "w", 0, b"given up")
    run("announce", "w", 2000, QUEUE)
    submit(run, "b")
    assert claim(run, mode=AHEAD) == []
    assert claim(run)[1::4] == [b"a"]
    assert claim(run, number=2, mode=AHEAD)[1::4] == [b"b"]


@pytest.mark.parametrize("mode", [LOOK, WAIT, AHEAD])
def test_a_claim_that_comes_after_its_repetition_takes_nothing(
    client: fakeredis.FakeRedis, run: Run, mode: int
) -> None:
    run("announce", "w", 2000, QUEUE)
    submit(run, "a")
    assert claim(run, number=2, most=1)[1] == b"a"
    submit(run, "b")
    assert claim(run, number=1, mode=mode) == []
    assert claim(run, number=3)[1] == b"b"
    run("finish", "w", 3, 0, 1, "b", b"{}", *wish(4, mode=WAIT))
    assert claim(run, number=3, mode=mode) == []
    submit(run, "c")
    assert client.lindex(f"{START}mail:w", 0).startswith(b"4 digits:1 c ")


def test_a_cancelled_job_is_not_claimed(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    _, _, entry = run("submit", "a", QUEUE, "low", "web", 30_000, b"{}", 10, 1000, 0)
    assert [run("cancel", "a", QUEUE, "low", entry), run("cancel", "a", QUEUE, "low", entry)] == [1, 0]
    assert claim(run) == []
    submit(run, "b")
    assert run("cancel", "b", QUEUE, "normal", "") == 1
    assert claim(run) == []
    assert run("state")[:2] == [0, b"0"]


def test_what_is_given_back_comes_first_again(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    for uuid in ("a", "b", "c"):
        submit(run, uuid)
    claim(run, number=1, most=2)
    assert run("give_back", "w", 1, "a", "b") == 2
    assert claim(run, number=2)[1::4] == [b"a", b"b", b"c"]
