"""The audit: each rule fails for what it is there for, and for nothing else."""

from __future__ import annotations

import json
import math

import pytest

from clients.load.audit import Audit, FaultWindow, Rules, audit
from clients.load.ledger import Ledger
from clients.load.outcomes import Ending, Expectation
from tests.clients.load.test_ledger import exchange

GOOD = 200


def audited(*odd: dict[str, object], windows: tuple[FaultWindow, ...] = (), rules: Rules | None = None) -> Audit:
    """Audit GOOD right answers, one a second from 1000 on, and the odd ones after them."""
    ledger = Ledger()
    for number in range(GOOD):
        ledger.add(exchange(number, planned=1000.0 + number, sent=1000.0 + number, ended=1000.1 + number))
    for number, fields in enumerate(odd, GOOD):
        ledger.add(exchange(number, **{"planned": 2000.0, "sent": 2000.0, "ended": 2000.5, **fields}))
    return audit(ledger, windows, rules or Rules())


def broken(ending: Ending = Ending.CLOSED) -> dict[str, object]:
    return {"ending": ending, "status": 0, "label": None}


def answered(status: int, **fields: object) -> dict[str, object]:
    return {"status": status, "label": None, "code": "some_code", **fields}


def test_right_answers_pass() -> None:
    found = audited()
    assert found.passed
    assert (found.requests, found.ok, found.lost, found.wrong, found.share_ok_outside) == (GOOD, GOOD, 0, 0, 1.0)
    assert math.isnan(found.recovery_p99_s)


@pytest.mark.parametrize("ending", [Ending.TIMEOUT, Ending.CLOSED, Ending.RESET, Ending.RESET_BEFORE, Ending.REFUSED])
def test_no_answer_is_a_loss(ending: Ending) -> None:
    found = audited(broken(ending))
    assert (found.lost, found.failures) == (1, ("1 lost",))


def test_a_broken_connection_is_none_in_a_window_that_breaks_them() -> None:
    kill = FaultWindow("kill a web process", 1999.0, 2000.4, breaks=True)
    assert audited(broken(), windows=(kill,)).passed
    assert audited(broken(), windows=(kill,)).broken == 1
    assert audited(broken(Ending.TIMEOUT), windows=(kill,)).lost == 1
    elsewhere = FaultWindow("kill a web process", 1998.0, 1999.9, breaks=True)
    other = FaultWindow("kill a worker", 1999.0, 2000.4)
    assert audited(broken(), windows=(elsewhere, other)).lost == 1


def test_another_label_is_wrong() -> None:
    found = audited({"label": "043"})
    assert (found.wrong, found.lost, found.failures) == (1, 0, ("1 wrong",))


def test_an_answer_too_many_is_seen() -> None:
    ledger = Ledger()
    ledger.add(exchange(0))
    ledger.add(exchange(0))
    assert audit(ledger).failures == ("1 with several outcomes",)


def test_a_request_without_an_outcome_is_lost() -> None:
    ledger = Ledger()
    ledger.add(exchange(0))
    ledger.expect(3)
    found = audit(ledger)
    assert (found.lost, found.requests) == (2, 3)
    assert not found.passed


def test_errors_count_only_outside_of_fault_windows() -> None:
    errors = [answered(503, retry_after_s=1.0), answered(504), answered(500)]
    found = audited(*errors)
    assert (found.unavailable, found.failed, found.bare_refusals) == (2, 1, 0)
    assert found.share_ok_outside == pytest.approx(GOOD / (GOOD + 3))
    assert found.failures == ("outside fault windows 98.52% were right, expected 99.00%",)
    assert audited(*errors, windows=(FaultWindow("queue server away", 1990.0, 2000.0),)).passed
    assert audited(*errors, rules=Rules(ok_share=0.98)).passed


def test_a_refusal_without_retry_after_is_counted() -> None:
    assert audited(answered(503)).bare_refusals == 1


def test_requests_that_are_wrong_on_purpose_do_not_count_as_predictions() -> None:
    refused = {"malformed": "cut", "expectation": Expectation("042", frozenset({400})), **answered(400)}
    culprit = {"expectation": Expectation(None, frozenset({500})), **answered(500)}
    found = audited(refused, culprit)
    assert found.passed
    assert (found.malformed, found.ok, found.share_ok_outside) == (1, GOOD + 2, 1.0)
    assert audited({**refused, "status": 500}).wrong == 1


def test_hanging_up_and_not_sending_are_no_losses() -> None:
    found = audited(broken(Ending.HUNG_UP), broken(Ending.UNSENT))
    assert found.passed
    assert (found.hung_up, found.requests) == (1, GOOD + 1)


def test_predictions_after_the_deadline_are_late() -> None:
    assert audited(rules=Rules(deadline_s=0.2)).passed
    found = audited({}, rules=Rules(deadline_s=0.2))
    assert found.failures == ("1 predictions later than 0.2 s",)


def test_a_window_tells_what_came_in_it() -> None:
    window = FaultWindow("queue server away", 1999.5, 2000.1)
    (seen,) = audited(answered(503), answered(503), broken(Ending.HUNG_UP), {}, windows=(window,)).windows
    assert (seen.requests, dict(seen.outcomes)) == (4, {"503 some_code": 2, "hung_up": 1, "200": 1})


def test_recovery_is_counted_from_the_fault() -> None:
    first, second = FaultWindow("first", 1010.05, 1012.0), FaultWindow("second", 2000.1, 2010.0)
    found = audited({"ended": 2003.1}, {"sent": 2001.0, "ended": 2004.1}, windows=(second, first))
    assert [each.window.name for each in found.windows] == ["first", "second"]
    assert [each.in_flight_s for each in found.windows] == [pytest.approx(0.05), pytest.approx(3.0)]
    assert [each.recovered_s for each in found.windows] == [pytest.approx(1.05), pytest.approx(4.0)]
    assert (found.recovery_p50_s, found.recovery_p99_s) == (pytest.approx(0.05), pytest.approx(3.0))
    assert found.passed
    slow = audited({"ended": 2004.2}, windows=(second,))
    assert slow.failures == ("recovery took 4.10 s at p99, expected 4 s",)


def test_what_never_recovers_says_so() -> None:
    (seen,) = audited(windows=(FaultWindow("last", 1500.0, 1501.0),)).windows
    assert seen.recovered_s is None


def test_what_never_recovers_while_requests_are_sent_does_not_pass() -> None:
    away = FaultWindow("queue server away", 1500.0, 1501.0)
    assert audited(answered(503), windows=(away,), rules=Rules(ok_share=0.9)).failures == (
        "never recovered from queue server away",
    )
    assert audited(answered(503), {}, windows=(away,), rules=Rules(ok_share=0.9)).passed


def test_where_nothing_was_right_it_does_not_pass() -> None:
    ledger = Ledger()
    ledger.add(exchange(0, **answered(503)))
    assert audit(ledger, (FaultWindow("all the time", 0.0, 1e9),)).failures == ("nothing was right",)


def test_an_empty_ledger_does_not_pass() -> None:
    assert audit(Ledger()).failures == ("nothing was sent",)


def test_it_can_be_said_in_json() -> None:
    said = json.loads(json.dumps(audited(windows=(FaultWindow("last", 1500.0, 1501.0),)).as_json(), allow_nan=False))
    assert said["passed"] is True
    assert said["recovery_p99_s"] is None
    assert said["windows"][0]["window"]["name"] == "last"
