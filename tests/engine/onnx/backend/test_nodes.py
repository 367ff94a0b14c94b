"""Every operator that the reader knows gives what ONNX's own node tests expect; what it refuses is listed.

The list `excluded.txt` is exact: a test that is on it and passes is as much of a failure as one that is not and fails.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.onnx.reading.operators import find_rule
from tests.engine.onnx.backend.cases import cases, families
from tests.engine.onnx.backend.exclusions import exclusions, is_excluded
from tests.engine.onnx.backend.running import run


@pytest.mark.parametrize("family", families())
def test_operators_give_what_onnx_expects(family: str, record_property: Callable[[str, object], None]) -> None:
    unexpected = []
    counts = {"passed": 0, "run": 0, "excluded": 0}
    for case in cases(family):
        excluded = is_excluded(case)
        counts["excluded" if excluded else "run"] += 1
        try:
            with np.errstate(all="ignore"):
                run(case)
        except Exception as error:
            if not excluded:
                unexpected.append(f"{case.name}: {type(error).__name__}: {error}")
        else:
            counts["passed"] += not excluded
            if excluded:
                unexpected.append(f"{case.name} passes: take it off the list")
    record_property("onnx_node_tests", counts)
    assert not unexpected, "\n".join(unexpected)


def test_what_is_left_out_has_a_reason_and_no_rule() -> None:
    assert all(item.reason for item in exclusions())
    assert len({item.name for item in exclusions()}) == len(exclusions())
    named = [item.name.rpartition(".") for item in exclusions() if item.is_operator]
    assert [name for domain, _, name in named if find_rule(domain, name) is not None] == []
