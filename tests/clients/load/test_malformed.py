"""Malformed requests: each kind is what it says, and the service answers each as is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from clients.load import FilePictures, Ledger, Picture, Plan, audit, run
from clients.load.bodies import FORMS, body_of, request_of
from clients.load.malformed import KINDS, Draw, Kind, kinds
from clients.load.numbered import encode
from tests.service.web.conftest import AnsweringWorker, WebProcess, png

START = b"POST /predict HTTP/1.1\r\nHost: somewhere\r\n"
CASES = [(kind, form) for kind in KINDS for form in kind.forms]


@pytest.mark.parametrize(("kind", "form"), CASES, ids=lambda case: case if isinstance(case, str) else case.name)
def test_each_differs_from_a_well_formed_request(kind: Kind, form: str) -> None:
    image = encode(5)
    assert kind.build(START, form, image) != request_of(START, body_of(form, image))
    assert kind.statuses - {200, 505} == {status for status in kind.statuses if 400 <= status < 500 or status == 504}


def test_kinds_are_drawn_by_weight_for_their_forms() -> None:
    draw = Draw(KINDS, seed=1)
    for form in FORMS:
        drawn = Counter(kind.name for _ in range(5000) if (kind := draw.kind(form)) is not None)
        assert set(drawn) == {kind.name for kind in KINDS if form in kind.forms}
        assert drawn["cut and stalled"] < drawn["cut"] / 4


def test_a_kind_that_no_form_can_have_is_not_drawn() -> None:
    assert Draw(kinds(["not base64"]), seed=1).kind("raw") is None


def test_the_service_answers_each_as_is_right(
    start_web: Callable[..., WebProcess], new_answering_worker: Callable[..., AnsweringWorker]
) -> None:
    new_answering_worker()
    web = start_web(upload_pause_s=0.5)
    rare = [kind.name for kind in KINDS if kind.weight < 1]
    for share, names, requests in ((0.8, [], 500), (1.0, rare, 8)):
        plan = Plan(
            urls=[web.url],
            pictures=FilePictures([Picture(png(7, (40, 40)), "seven", "7")]),
            clients=4,
            requests=requests,
            forms=FORMS,
            malformed_share=share,
            malformed_kinds=names,
            timeout_s=10.0,
        )
        ledger = Ledger()
        report = run(plan, ledger)
        unlike = [row for row in ledger.rows() if row.verdict]
        assert not unlike, [(row.malformed, row.form, row.ending, row.status, row.code, row.label) for row in unlike]
        assert audit(ledger).passed
        assert report.is_fine
