"""Several partitions: who uses which, what happens when one is away, and how URLs name them."""

import time

import pytest

from service.broker import BrokerUnavailable, connect

from .answering import accepted, answering, answers, claimed, until


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://me:secret@host:6380", "rediss://me:…@host:6380"),
        ("unix:///tmp/redis.sock?db=1&password=secret", "unix:///tmp/redis.sock?db=1&password=…"),
        ("redis+sentinel://:secret@a:26379,b:26379/main/2", "redis+sentinel://:…@a:26379,b:26379/main/2"),
    ],
)
def test_a_url_becomes_a_partition_whose_name_hides_the_password(url, name) -> None:
    (partition,) = connect(url)
    assert partition.name == name
    assert partition.start == "beagle:2:{p}:"


def test_several_urls_are_separated_by_commas() -> None:
    url = "redis://a,redis+sentinel://s1:1,s2:2/main,redis://a?partition=second"
    assert [partition.start for partition in connect(url)] == ["beagle:2:{p}:"] * 2 + ["beagle:2:{second}:"]
    assert [partition.index for partition in connect(url)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("", "redis://"),
        ("http://host", "redis://"),
        ("redis://a,redis://a", "once"),
        ("redis+sentinel://host:26379", "service"),
        ("redis+sentinel://host:many/main", "service"),
        ("redis://a?partition=x:y", "partition"),
        ("redis://a:port", "port"),
    ],
)
def test_a_url_that_cannot_be_understood_is_refused(url, named) -> None:
    with pytest.raises(ValueError, match=named):
        connect(url)


def two(redis_server) -> str:
    return f"{redis_server.url}?partition=one,{redis_server.url}?partition=two"


def test_jobs_are_spread_and_a_worker_serves_all(redis_server, new_web, new_worker) -> None:
    web = new_web(connect(two(redis_server)))
    waiting = [accepted(web.submit("digits", "1", b"%d" % i, deadline_s=20)) for i in range(8)]
    for tag in ("one", "two"):
        assert redis_server.client.llen(f"beagle:2:{{{tag}}}:digits:1:queue:normal") == 4
    worker = new_worker(connect(two(redis_server)), most=2)
    for _ in range(4):
        batch = claimed(worker)
        assert worker.finish(batch, answers(batch), seconds=0).accepted == 2
    assert [one.result() for one in waiting] == [b"answer to %d" % i for i in range(8)]


@pytest.mark.alone
def test_an_idle_worker_is_handed_the_jobs_of_every_partition(redis_server, new_web, new_worker) -> None:
    web, worker = new_web(connect(two(redis_server))), new_worker(connect(two(redis_server)))
    web.status()
    with answering(worker):
        times = []
        for _ in range(10):
            began = time.monotonic()
            web.submit("digits", "1", b"x", deadline_s=20).result()
            times.append(time.monotonic() - began)
    assert sorted(times)[5] < 0.05


@pytest.mark.alone
def test_waiting_on_several_partitions_ends_in_time(redis_server, new_worker) -> None:
    worker = new_worker(connect(two(redis_server)))
    began = time.monotonic()
    worker.wait(0.2)
    worker.wait(0.2)
    assert 0.3 < time.monotonic() - began < 0.8


def test_a_partition_that_is_away_holds_nothing_up(redis_server, new_redis_server, new_web, new_worker) -> None:
    gone = new_redis_server()
    urls = f"{gone.url},{redis_server.url}"
    web, worker = new_web(connect(urls)), new_worker(connect(urls))
    stranded = [accepted(web.submit("digits", "1", b"%d" % i, deadline_s=20)) for i in range(4)]
    gone.stop()
    web.admit("digits", "1", 20)
    with answering(worker):
        for _ in range(4):
            assert web.submit("digits", "1", b"x", deadline_s=20).result() == b"answer to x"
        # Those on the server that is gone move to the other.
        assert [one.result() for one in stranded] == [b"answer to %d" % i for i in range(4)]
    assert web.status().reachable
    assert web.status().live_workers == {("digits", "1"): 1}


def test_no_reachable_partition_is_an_error_of_its_own(new_redis_server, new_web) -> None:
    servers = [new_redis_server(), new_redis_server()]
    web = new_web(connect(",".join(server.url for server in servers)))
    for server in servers:
        server.stop()

    def refused() -> bool:
        try:
            web.admit("digits", "1", 20)
        except BrokerUnavailable:
            return True
        return False

    until(refused, 1)
    with pytest.raises(BrokerUnavailable):
        web.submit("digits", "1", b"x", deadline_s=20).result()
