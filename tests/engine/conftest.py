"""What is told at the end of a session."""

from __future__ import annotations

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tells how many of ONNX's node tests passed."""
    counts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for key, value in getattr(report, "user_properties", ()):
                if key == "onnx_node_tests":
                    counts.update(value)
    if counts:
        terminalreporter.write_line(
            f"ONNX node tests: {counts['passed']} passed / {counts['run']} run / {counts['excluded']} excluded"
        )
