"""Times are put into buckets that add up, and percentiles read from them are close to the true ones."""

from __future__ import annotations

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.histogram import (
    LAST_BUCKET,
    SCRAPED_SECONDS,
    SHORTEST_SECONDS,
    bucket_of,
    percentiles,
    seconds_of,
)

SECONDS = st.floats(min_value=SHORTEST_SECONDS, max_value=86_400 * 100)
WANTED = (0.5, 0.95, 0.99)


@given(SECONDS)
def test_a_bucket_tells_a_time_to_five_percent(seconds: float) -> None:
    assert abs(seconds_of(bucket_of(seconds)) - seconds) <= 0.05 * seconds


@given(SECONDS, SECONDS)
def test_longer_times_are_in_later_buckets(one: float, other: float) -> None:
    shorter, longer = sorted((one, other))
    assert bucket_of(shorter) <= bucket_of(longer)


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 0.0005, SHORTEST_SECONDS])
def test_what_took_no_time_is_in_the_first_bucket(seconds: float) -> None:
    assert bucket_of(seconds) == 0


def test_what_took_years_is_in_the_last_bucket() -> None:
    assert bucket_of(1e12) == bucket_of(1e10) == LAST_BUCKET


@given(st.lists(SECONDS, min_size=1, max_size=200))
def test_percentiles_are_close_to_those_of_the_times_themselves(times: list[float]) -> None:
    found = percentiles(Counter(map(bucket_of, times)), WANTED)
    ranked = sorted(times)
    for share, seconds in zip(WANTED, found, strict=True):
        exact = ranked[ceil(share * len(ranked)) - 1]
        assert abs(seconds - exact) <= 0.0501 * exact


@given(st.lists(SECONDS, min_size=1), st.lists(SECONDS))
def test_histograms_add_up(some: list[float], more: list[float]) -> None:
    added = Counter(map(bucket_of, some)) + Counter(map(bucket_of, more))
    assert added == Counter(map(bucket_of, some + more))


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentiles({}, WANTED)


def test_the_bounds_that_are_scraped_rise() -> None:
    assert list(SCRAPED_SECONDS) == sorted(set(SCRAPED_SECONDS))
