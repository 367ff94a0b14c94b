"""Logging: one line per event, whatever is in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from service.telemetry import configure_logging, log_event

log = logging.getLogger("service.test")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level, pillow = root.handlers[:], root.level, logging.getLogger("PIL").level
    yield io.StringIO()
    root.handlers[:], root.level = handlers, level
    logging.getLogger("PIL").setLevel(pillow)
    root.setLevel(level)


def test_a_text_line_has_time_level_place_event_and_fields(stream: io.StringIO) -> None:
    configure_logging("info", "text", stream)
    log_event(log, logging.INFO, "batch done", images=8, reason="", path="a b")
    assert len(stream.getvalue().splitlines()) == 1
    time, level, place, rest = stream.getvalue().split(" ", 3)
    assert (len(time), time[-1], level) == (len("2026-01-31T12:00:00.000Z"), "Z", "INFO")
    assert place.startswith("service.test[")
    assert rest == 'batch done images=8 reason="" path="a b"\n'


def test_line_breaks_and_tracebacks_do_not_make_more_lines(stream: io.StringIO) -> None:
    for form in ("text", "json"):
        configure_logging("info", form, stream)
        try:
            raise ValueError("two\nlines")
        except ValueError as error:
            log_event(log, logging.ERROR, "failed", exc_info=error, message="two\r\nlines")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all("ValueError" in line for line in lines)


def test_control_characters_of_clients_stay_out_of_a_text_line(stream: io.StringIO) -> None:
    configure_logging("info", "text", stream)
    log_event(log, logging.INFO, "request failed", path="/\x1b[31m\x85\u2028\x00é")
    assert stream.getvalue().endswith("path=/\\x1b[31m\\x85\\u2028\\x00é\n")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_json_line_is_an_object_whose_own_keys_no_field_replaces(stream: io.StringIO) -> None:
    configure_logging("info", "json", stream)
    log_event(log, logging.WARNING, "request failed", code="queue_full", status=503, level="mine")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["code"], line["status"]) == (
        "request failed",
        "warning",
        "queue_full",
        503,
    )


def test_lines_below_the_level_are_left_out(stream: io.StringIO) -> None:
    configure_logging("warning", "text", stream)
    log_event(log, logging.INFO, "quiet")
    logging.getLogger("other").error("plain %s", "message")
    assert stream.getvalue().splitlines()[0].endswith("plain message")
