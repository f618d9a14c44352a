"""Histograms of times that can be added to each other, and the percentiles read from them.

Bucket 0 holds what took a millisecond or less; each further one is a tenth wider than the one before it, so a
percentile is at most 5 % off. `engine/sql/figure.sql` puts times into the same buckets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log

SHORTEST_SECONDS = 0.001
GROWTH = 1.1
LAST_BUCKET = 250
"""It holds everything longer than 200 days."""

SCRAPED_SECONDS = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    1800.0,
    7200.0,
)
"""Upper bounds of the coarser buckets that monitoring systems are told; above them is one more."""


def bucket_of(seconds: float) -> int:
    """Return the bucket of a time; what is negative, as clocks differ, took none."""
    steps = ceil(log(max(seconds, SHORTEST_SECONDS) / SHORTEST_SECONDS) / log(GROWTH))
    return min(steps, LAST_BUCKET)


def seconds_of(bucket: int) -> float:
    """Return the time that is least wrong for what is in a bucket."""
    if bucket == 0:
        return SHORTEST_SECONDS
    return float(SHORTEST_SECONDS * GROWTH**bucket * 2 / (1 + GROWTH))


def percentiles(counts: Mapping[int, int], wanted: Sequence[float]) -> list[float]:
    """Return these percentiles (0 to 1, rising) of what was counted by bucket; ValueError for nothing."""
    total = sum(counts.values())
    if total <= 0:
        raise ValueError("no percentile of nothing")
    found: list[float] = []
    passed = 0
    for bucket in sorted(counts):
        passed += counts[bucket]
        while len(found) < len(wanted) and passed >= wanted[len(found)] * total:
            found.append(seconds_of(bucket))
    return found
