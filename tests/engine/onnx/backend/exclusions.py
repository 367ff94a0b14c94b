"""What of ONNX's node tests is left out, and why: the lines of `excluded.txt`.

A line names an operator that has no rule (`Loop`, or `ai.onnx.ml.Binarizer` of another domain), which leaves out every
test with such a node, or tests by a pattern (`test_cast_*_INT4`). A heading `# reason` stands above the lines.
"""

from __future__ import annotations

import functools
import re
from fnmatch import translate
from pathlib import Path
from typing import NamedTuple

from onnx.backend.test.case.test_case import TestCase

FILE = Path(__file__).with_name("excluded.txt")


class Exclusion(NamedTuple):
    """Tests that fail, by an operator or by a pattern of their names, and why they do."""

    name: str
    reason: str

    @property
    def is_operator(self) -> bool:
        return not self.name.startswith("test_")


@functools.cache
def exclusions() -> list[Exclusion]:
    """The lines of the file under their headings."""
    found: list[Exclusion] = []
    reason = ""
    for line in FILE.read_text().splitlines():
        if line.startswith("#"):
            reason = line.lstrip("# ")
        elif line.strip():
            found.append(Exclusion(line.strip(), reason))
    return found


@functools.cache
def _matcher() -> re.Pattern[str]:
    return re.compile("|".join(translate(item.name) for item in exclusions() if not item.is_operator))


@functools.cache
def _operators() -> frozenset[str]:
    return frozenset(item.name for item in exclusions() if item.is_operator)


def is_excluded(case: TestCase) -> bool:
    """Whether a test is among those left out."""
    operators = {
        f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        for node in case.model.graph.node
    }
    return bool(operators & _operators()) or _matcher().match(case.name) is not None
