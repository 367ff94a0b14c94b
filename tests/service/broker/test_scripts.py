"""What each script answers, branch by branch, without a server: the promise itself is tested on a real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fakeredis
import pytest

from service.broker import keys, scripts

START = keys.prefix("p")
QUEUE = "digits:1"

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


def submit(run: Run, uuid: str, *, payload: bytes = b"{}", jobs: int = 10, size: int = 1000) -> bytes:
    return run("submit", uuid, QUEUE, "normal", "web", 30_000, payload, jobs, size)[0]


def claim(run: Run, number: int = 1, most: int = 8, worker: str = "w") -> list[Any]:
    return run("claim", worker, number, most, 2000, 65536, 0, QUEUE)


def test_a_job_is_accepted_once(client: fakeredis.FakeRedis, run: Run) -> None:
    assert [submit(run, "a"), submit(run, "a")] == [b"accepted", b"known"]
    assert client.llen(f"{START}{QUEUE}:queue:normal") == 1


@pytest.mark.parametrize(("jobs", "size"), [(2, 1000), (10, 5)])
def test_a_full_queue_refuses_by_jobs_and_by_bytes(run: Run, jobs: int, size: int) -> None:
    assert submit(run, "a", jobs=jobs, size=size) == b"accepted"
    assert submit(run, "b", jobs=jobs, size=size) == b"accepted"
    assert submit(run, "c", jobs=jobs, size=size) == b"full"


def test_a_batch_asked_for_again_is_the_same_batch(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    for uuid in ("a", "b", "c"):
        submit(run, uuid)
    first = claim(run, number=1, most=2)
    assert [first[0], first[1], first[5]] == [QUEUE.encode(), b"a", b"b"]
    assert claim(run, number=1, most=2)[1::4] == first[1::4]
    assert claim(run, number=2)[1] == b"c"


def test_who_has_no_lease_gets_nothing(run: Run) -> None:
    submit(run, "a")
    assert claim(run) == b"lapsed"


def test_only_members_of_the_batch_are_answered_and_only_once(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    submit(run, "a")
    submit(run, "b")
    claim(run, number=1, most=1)
    assert run("finish", "w", 1, 5, "a", b"one", "b", b"two") == 1
    assert run("finish", "w", 1, 5, "a", b"one") == 0
    assert run("probe", "a", "b", "c") == [b"one", 1, 0]
    assert submit(run, "a") == b"answered"


def test_a_cancelled_job_is_not_claimed(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    submit(run, "a")
    assert [run("cancel", "a"), run("cancel", "a")] == [1, 0]
    assert claim(run) == []


def test_what_is_given_back_comes_first_again(run: Run) -> None:
    run("announce", "w", 2000, QUEUE)
    for uuid in ("a", "b", "c"):
        submit(run, uuid)
    claim(run, number=1, most=2)
    assert run("give_back", "w", 1, "a", "b") == 2
    assert claim(run, number=2)[1::4] == [b"a", b"b", b"c"]
