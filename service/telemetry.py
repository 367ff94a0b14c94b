"""Logging: one line per event, as text or as JSON, with the event's fields."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, TextIO

# Control characters and line separators: a client's text must neither begin a new line nor steer a terminal.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_ESCAPES |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def log_event(
    logger: logging.Logger, level: int, event: str, /, *, exc_info: bool | BaseException = False, **fields: Any
) -> None:
    """Log one event with fields, such as `log_event(log, logging.INFO, "batch done", images=8)`.

    Args:
        logger: Usually `logging.getLogger(__name__)`.
        level: A level of `logging`.
        event: What happened; constant text, so that lines can be counted by it.
        exc_info: True or an exception adds the traceback.
        **fields: What to know about it; values should be numbers, texts, or lists of them.
    """
    if logger.isEnabledFor(level):
        logger.log(level, "%s", event, exc_info=exc_info or None, extra={"fields": fields})


def _timestamp(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO service.web[42] event key=value`; control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        parts = [
            _timestamp(record),
            record.levelname,
            f"{record.name}[{record.process}]",
            record.getMessage(),
        ]
        parts += [f"{key}={_quoted(value)}" for key, value in getattr(record, "fields", {}).items()]
        if record.exc_info:
            parts.append("traceback=" + json.dumps(self.formatException(record.exc_info)))
        return " ".join(parts).translate(_ESCAPES)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, process, event, the fields, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, Any] = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "event": record.getMessage(),
        }
        line.update((key, value) for key, value in getattr(record, "fields", {}).items() if key not in line)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=\n\r') else text


def configure_logging(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send every log line of this process to standard error, replacing earlier handlers.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `text` or `json`.
        stream: Where to write instead.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Pillow describes every chunk of every image at this level.
    logging.getLogger("PIL").setLevel(max(logging.INFO, root.level))
