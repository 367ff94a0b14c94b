"""Loads against a server that misbehaves: whatever it does is in the ledger, and the audit finds it."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.load import Audit, Ending, Ledger, Load, NumberedPictures, Picture, Plan, Report, Row, Verdict, audit, run
from clients.load.arrivals import poisson
from clients.load.pictures import FilePictures
from tests.clients.load.unruly import Behaviour, Deed, UnrulyServer, serving, well
from tests.service.processes import eventually

pytestmark = pytest.mark.alone  # planned moments and rates are held to


class Outcome:
    """What a load found: its report, the rows of its ledger by number, the audit, and the server."""

    def __init__(self, report: Report, ledger: Ledger, server: UnrulyServer) -> None:
        self.report = report
        self.rows: list[Row] = sorted(ledger.rows(), key=lambda row: row.number)
        self.audit: Audit = audit(ledger)
        self.server = server


def load(behaviour: Behaviour = well, **plan: Any) -> Outcome:
    """Run a load of numbered images; of one client unless the plan has a rate."""
    if "rate" not in plan:
        plan.setdefault("clients", 1)
    with serving(behaviour) as (url, server):
        ledger = Ledger()
        report = run(Plan(urls=[url], pictures=NumberedPictures(), **plan), ledger)
        return Outcome(report, ledger, server)


def once(at: int, deed: Deed) -> Behaviour:
    """Do this with one request, and answer all others rightly."""
    return lambda number: deed if number == at else Deed()


def test_right_answers_are_right_whatever_the_form() -> None:
    outcome = load(clients=3, requests=60, forms=("multipart", "raw", "json"))
    # This server sees no number inside base64: there, the empty label it answers is wrong.
    assert {row.form for row in outcome.rows if row.verdict == Verdict.WRONG} == {"json"}
    assert Counter(row.verdict for row in outcome.rows) == {Verdict.OK: 40, Verdict.WRONG: 20}
    assert [row.number for row in outcome.rows] == [row.picture for row in outcome.rows] == list(range(60))
    assert (outcome.audit.wrong, outcome.audit.lost, outcome.report.statuses) == (20, 0, {"200": 60})


@pytest.mark.parametrize(
    ("way", "ending"),
    [
        ("half", Ending.CLOSED),
        ("close", Ending.CLOSED),
        ("reset", Ending.RESET),
        ("garbage", Ending.GARBLED),
        ("silence", Ending.TIMEOUT),
    ],
)
def test_an_answer_that_does_not_come_is_found(way: str, ending: Ending) -> None:
    outcome = load(once(2, Deed(way=way)), requests=5, timeout_s=0.3)
    assert [row.ending for row in outcome.rows] == [Ending.ANSWERED] * 2 + [ending] + [Ending.ANSWERED] * 2
    assert (outcome.audit.lost, outcome.audit.wrong) == ((0, 1) if way == "garbage" else (1, 0))
    assert outcome.report.endings == {ending.name.lower(): 1}
    assert not outcome.audit.passed
    assert not outcome.report.is_fine


def test_the_answer_for_another_image_is_found() -> None:
    outcome = load(once(3, Deed(label="999")), requests=6)
    assert [row.number for row in outcome.rows if row.verdict == Verdict.WRONG] == [3]
    assert outcome.audit.failures[0] == "1 wrong"


def test_two_answers_to_one_request_are_found() -> None:
    outcome = load(once(1, Deed(way="twice")), requests=4)
    assert (outcome.audit.twice, outcome.report.surplus, outcome.audit.lost) == (1, 1, 0)
    assert not outcome.report.is_fine


def test_refusals_are_counted_with_code_and_retry_after() -> None:
    refusal = Deed(status=503, headers="Retry-After: 2\r\n")
    outcome = load(lambda number: refusal if number % 2 else Deed(), requests=8)
    refused = [row for row in outcome.rows if row.status == 503]
    assert [(row.code, row.retry_after_s, row.verdict) for row in refused] == [
        ("queue_full", 2.0, Verdict.UNAVAILABLE)
    ] * 4
    assert outcome.report.codes == {"503 queue_full": 4}
    assert (outcome.report.refusals.count, outcome.report.latencies.count) == (4, 4)
    assert (outcome.audit.unavailable, outcome.audit.bare_refusals, outcome.report.is_fine) == (4, 0, True)


@pytest.mark.parametrize("way", ["unframed", "continue"])
def test_answers_in_other_framings_are_whole(way: str) -> None:
    assert load(lambda number: Deed(way=way), requests=4).audit.passed


def test_a_connection_is_used_again() -> None:
    outcome = load(requests=10, clients=2)
    assert outcome.server.connections == 2
    assert Counter(row.reused for row in outcome.rows) == {True: 8, False: 2}


def test_a_connection_is_not_used_again_where_that_is_asked() -> None:
    outcome = load(requests=6, keep_alive=False)
    assert outcome.server.connections == 6
    assert not any(row.reused for row in outcome.rows)


def test_a_service_that_is_not_there_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    ledger = Ledger()
    run(Plan(urls=[f"http://127.0.0.1:{port}"], pictures=NumberedPictures(), clients=2, requests=4), ledger)
    assert [row.ending for row in ledger.rows()] == [Ending.REFUSED] * 4
    assert audit(ledger).lost == 4


def test_a_reset_before_all_was_sent_is_told_from_one_after_it() -> None:
    large = FilePictures([Picture(b"\0" * 20_000_000, "large")])
    with serving(lambda number: Deed(way="reset", before_body=True)) as (url, _):
        ledger = Ledger()
        run(Plan(urls=[url], pictures=large, clients=1, requests=1), ledger)
    assert [row.ending for row in ledger.rows()] == [Ending.RESET_BEFORE]


def test_an_answer_before_all_was_sent_counts() -> None:
    large = FilePictures([Picture(b"\0" * 20_000_000, "large")])
    deed = Deed(status=413, code="image_too_large", before_body=True, after_s=0.05)
    with serving(lambda number: deed) as (url, _):
        ledger = Ledger()
        run(Plan(urls=[url], pictures=large, clients=1, requests=2), ledger)
    # Closing with data unread may reset the connection before the answer is seen; it is one or the other.
    for row in ledger.rows():
        assert (row.status, row.code) == (413, "image_too_large") or row.ending in (Ending.RESET, Ending.RESET_BEFORE)


def test_a_unix_socket_does_as_well(tmp_path: Path) -> None:
    with serving(path=tmp_path / "web") as (url, _):
        ledger = Ledger()
        run(Plan(urls=[url], pictures=NumberedPictures(), clients=1, requests=5), ledger)
    assert audit(ledger).passed


def test_urls_take_turns() -> None:
    with serving() as (first, one), serving() as (second, other):
        ledger = Ledger()
        plan = Plan(urls=[first, second], pictures=NumberedPictures(), rate=500, requests=40)
        run(plan, ledger)
    assert (len(one.heads), len(other.heads)) == (20, 20)
    assert Counter(row.url for row in ledger.rows()) == {0: 20, 1: 20}


def test_headers_priorities_and_deadlines_are_sent() -> None:
    outcome = load(
        requests=60,
        clients=2,
        priorities={"high": 1, "low": 4},
        deadline_ms=750,
        headers=[("X-Api-Key", "secret")],
    )
    assert all(b"X-Deadline-Ms: 750\r\nX-Priority: " in head for head in outcome.server.heads)
    assert all(b"\r\nX-Api-Key: secret\r\n" in head for head in outcome.server.heads)
    sent = Counter(row.priority for row in outcome.rows)
    assert sent == Counter(head.split(b"X-Priority: ")[1].split(b"\r")[0].decode() for head in outcome.server.heads)
    assert sent["low"] > 2 * sent["high"] > 0
    assert {name: each.count for name, each in outcome.report.by_priority.items()} == sent


def test_clients_that_hang_up_are_written_down_and_lose_nothing() -> None:
    outcome = load(lambda number: Deed(after_s=0.1), clients=8, requests=80, hang_up_share=0.5, hang_up_after_s=0.01)
    left = [row for row in outcome.rows if row.ending == Ending.HUNG_UP]
    assert 20 < len(left) < 60
    assert all(row.ended - row.sent > 0.0099 for row in left)
    assert outcome.audit.passed
    assert (outcome.audit.hung_up, outcome.audit.ok) == (len(left), 80 - len(left))


def test_a_load_without_an_end_runs_until_it_is_stopped() -> None:
    with serving(lambda number: Deed(after_s=0.01)) as (url, server):
        ledger = Ledger()
        with Load(Plan(urls=[url], pictures=NumberedPictures(), clients=4), ledger) as running:
            eventually(lambda: len(server.heads) > 20, "20 requests")
            report = running.stop()
        assert running.stop().planned == report.planned
    assert report.planned == len(ledger) == len(server.heads)
    assert audit(ledger).passed
    assert not [thread for thread in threading.enumerate() if thread.name == "load"]


def test_the_warm_up_is_not_measured_but_written_down() -> None:
    outcome = load(warm_up_s=0.2, duration_s=0.2)
    assert outcome.report.seconds >= 0.2
    assert 0 < outcome.report.planned < len(outcome.rows)
    assert outcome.report.goodput == pytest.approx(outcome.report.rate, rel=0.1)
    assert outcome.audit.requests == len(outcome.rows)


@pytest.mark.parametrize("loop", [{"clients": 2}, {"rate": 500.0}])
@pytest.mark.parametrize("after", [0, 5])
def test_a_failure_of_the_load_itself_ends_it(loop: dict[str, Any], after: int) -> None:
    class Broken(NumberedPictures):
        def take(self) -> Picture:
            picture = super().take()
            if picture.name == after:
                raise RuntimeError("no pictures left")
            return picture

    with serving() as (url, _), pytest.raises(RuntimeError, match="no pictures left"):
        run(Plan(urls=[url], pictures=Broken(), **loop))


def test_a_full_disk_ends_it() -> None:
    ledger = Ledger("/dev/full")
    with serving() as (url, _), pytest.raises(OSError, match="No space left"):
        run(Plan(urls=[url], pictures=NumberedPictures(), clients=1), ledger)
    with pytest.raises(OSError, match="No space left"):
        ledger.close()


def test_an_open_loop_sends_at_the_planned_moments() -> None:
    outcome = load(rate=400.0, duration_s=0.5, seed=9)
    planned = np.array([row.planned for row in outcome.rows])
    expected = np.array(list(islice(poisson(400.0, 9), len(planned))))
    assert np.allclose(np.diff(planned), np.diff(expected), atol=1e-6)
    assert outcome.report.rate == pytest.approx(400, rel=0.25)
    assert min(row.sent - row.planned for row in outcome.rows) >= 0


STALL_S = 0.4
RATE = 200.0


def stalling_once() -> Behaviour:
    """Answer nothing for STALL_S after the 20th request came, like a server that collects its garbage."""
    until: list[float] = []

    def behave(number: int) -> Deed:
        now = time.monotonic()
        if number == 20:
            until.append(now + STALL_S)
        return Deed(after_s=max(0.0, until[0] - now) if until else 0.0)

    return behave


def test_an_open_loop_sees_a_stall_as_often_as_requests_came_in_it() -> None:
    outcome = load(stalling_once(), rate=RATE, duration_s=1.0, seed=3)
    slow = [row.ended - row.planned for row in outcome.rows if row.ended - row.planned > STALL_S / 2]
    # All that were due in the first half of the stall waited for more than the other half.
    assert len(slow) > RATE * STALL_S / 2 * 0.6
    assert outcome.report.latencies.p90 > STALL_S / 4 * 1e3
    assert outcome.audit.passed


def test_a_closed_loop_of_one_client_sees_it_once() -> None:
    outcome = load(stalling_once(), requests=200)
    assert 1 <= len([row for row in outcome.rows if row.ended - row.planned > STALL_S / 2]) <= 3


def test_a_stall_of_the_generator_itself_counts_as_latency() -> None:
    class Slow(NumberedPictures):
        def take(self) -> Picture:
            picture = super().take()
            if picture.name == 20:
                time.sleep(0.3)
            return picture

    with serving() as (url, _):
        report = run(Plan(urls=[url], pictures=Slow(), rate=RATE, duration_s=0.8, seed=3))
    assert report.latencies.largest > 290
    assert report.lag.largest > 290
    assert report.latencies.count > 100


def test_an_open_loop_counts_what_it_could_not_send() -> None:
    outcome = load(lambda number: Deed(after_s=0.3), rate=RATE, duration_s=0.3, connections=5)
    unsent = [row for row in outcome.rows if row.ending == Ending.UNSENT]
    assert outcome.server.connections == 5
    assert len(outcome.rows) - len(unsent) == len(outcome.server.heads)
    assert len(unsent) > 20
    assert outcome.report.endings == {"unsent": len(unsent)}
    assert outcome.report.within_deadline < 0.5


def test_an_open_loop_of_more_than_can_be_sent_ends_in_time_and_hears_the_answers() -> None:
    with serving() as (url, _):
        report = run(Plan([url], NumberedPictures(), rate=1e7, duration_s=0.3, connections=16))
    assert report.statuses["200"] > 1
    assert report.planned < 1e6


def test_goodput_leaves_out_what_came_after_the_time_was_up() -> None:
    outcome = load(lambda number: Deed(after_s=0.3), rate=100.0, duration_s=0.6)
    answered_in_time = sum(row.ended - outcome.rows[0].planned < 0.6 for row in outcome.rows)
    assert outcome.report.goodput * outcome.report.seconds == pytest.approx(answered_in_time, abs=8)
    assert outcome.report.latencies.count == len(outcome.rows) > answered_in_time + 10


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "expected clients of a closed loop or the rate"),
        ({"clients": 1, "rate": 1.0}, "expected clients of a closed loop or the rate"),
        ({"clients": 1, "urls": []}, "expected a URL"),
        ({"clients": 1, "urls": ["localhost:5000"]}, "expected http://"),
        ({"clients": 1, "forms": ["xml"]}, "expected forms among"),
        ({"clients": 1, "hang_up_share": 1.5}, "hang_up_share: expected a share"),
        ({"clients": 1, "timeout_s": 0}, "timeout_s: expected more than 0"),
        ({"clients": 1, "requests": 0}, "requests: expected 1 or more"),
        ({"clients": 1, "priorities": {"high": 0}}, "expected weights of priorities above 0"),
        ({"clients": 1, "headers": [("X-A", "1\r\nX-B: 2")]}, "expected headers in ASCII"),
        ({"clients": 1, "priorities": {"high\r\nX-B: 2": 1}}, "expected headers in ASCII"),
        ({"clients": 1, "deadline_ms": math.nan}, "deadline_ms: expected more than 0"),
        ({"rate": math.inf}, "rate: expected a finite number"),
        ({"clients": 1, "malformed_kinds": ["odd"]}, "expected kinds among"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    plan: dict[str, Any] = {"urls": ["http://127.0.0.1:1"], "pictures": NumberedPictures(), **wrong}
    with pytest.raises(ValueError, match=message):
        Load(Plan(**plan))
