"""The table of the benchmarks: what was measured, held against its bound."""

from __future__ import annotations

import pytest

from benchmarks.figures import percentile, ratio
from benchmarks.report import table


@pytest.mark.parametrize(("value", "verdict"), [(600.0, "ok"), (599.0, "MISS"), (1200.0, "ok")])
def test_a_figure_is_judged_by_its_bound(value: float, verdict: str) -> None:
    (line,) = table({"lean": {"engine": {"singly": {"runs_per_second": value}}}}).splitlines()
    assert line.startswith("Runs/s, triggered one by one")
    assert f" {verdict} " in line


def test_what_was_not_measured_is_left_out() -> None:
    assert table({"machine": {}}) == ""


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile(list(range(100)), 99) == 99
    assert percentile([], 99) == 0.0


def test_a_ratio_to_nothing_is_no_ratio() -> None:
    assert (ratio(3.0, 2.0), ratio(3.0, 0.0)) == (1.5, 0.0)
