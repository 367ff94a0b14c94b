"""Nothing drifts for ever: sums are put right, late jobs leave their lists, keys that are needed are kept."""

import pytest

from service.broker import QueueFull, QueueLimits

from .answering import accepted, claimed, until

QUEUE = "digits:1"


def submit(web, **options):
    return accepted(web.submit("digits", "1", b"image", **{"deadline_s": 20, **options}))


def test_sums_that_differ_from_what_is_there_are_put_right(redis_server, partitions, new_web, new_worker) -> None:
    client, load = redis_server.client, partitions[0].start + "load"
    web, worker = new_web(partitions), new_worker(partitions, most=1)
    for _ in range(3):
        submit(web)
    claimed(worker)
    client.hset(load, mapping={"jobs": 900, f"jobs:{QUEUE}": 900, "bytes": 10**9, "jobs:old:1": 5})

    def right() -> bool:
        partitions[0].run("state")
        return client.hmget(load, "jobs", f"jobs:{QUEUE}", "bytes", "jobs:old:1") == [b"3", b"3", b"15", None]

    until(right)


def test_late_jobs_leave_room_though_nobody_serves_and_others_wait_before_them(
    redis_server, partitions, new_web
) -> None:
    web = new_web(partitions, limits=QueueLimits(max_jobs=3))
    submit(web)
    for _ in range(2):
        submit(web, deadline_s=0.2)
    with pytest.raises(QueueFull):
        submit(web, deadline_s=0.2)

    def fits() -> bool:
        try:
            return bool(submit(web))
        except QueueFull:
            return False

    until(fits, 3)
    assert redis_server.client.llen(f"{partitions[0].start}{QUEUE}:queue:normal") <= 2


def test_late_jobs_are_swept_from_lists_longer_than_one_look(redis_server, partitions) -> None:
    run, client, list_name = partitions[0].run, redis_server.client, f"{partitions[0].start}{QUEUE}:queue:normal"
    run("announce", "host-1-aa", 60_000, QUEUE)
    for i in range(3):
        run("submit", f"job{i}", QUEUE, "normal", "web", 60_000, b"x", 0, 1, 0)
    late, there = b"late%d 1 1 0 web", client.lindex(list_name, 0)
    client.rpush(list_name, *(late % i for i in range(600)), *([there] * 600), *(late % i for i in range(600, 1200)))

    def swept() -> bool:
        client.delete(partitions[0].start + "tidier")
        run("state")
        return client.llen(list_name) == 603

    until(swept, 10)
    assert client.lrange(list_name, 0, 0) == [there]
    assert run("state")[0] == 603


def test_keys_that_are_needed_are_kept_alive(redis_server, partitions, new_web, new_worker) -> None:
    client, start = redis_server.client, partitions[0].start
    web, worker = new_web(partitions), new_worker(partitions, most=1)
    assert worker.wait(0.001) is None
    for _ in range(3):
        submit(web)
    names = [start + name for name in ("load", f"claimed:{worker.worker_id}", f"{QUEUE}:queue:normal", "workers")]
    for name in names:
        assert client.pexpire(name, 5_000) == 1
    until(lambda: all(client.pttl(name) > 40_000_000 for name in names), 3)
