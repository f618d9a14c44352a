"""Small arithmetic of the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile; 0 without values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return the three percentiles everybody asks for, rounded."""
    return {f"p{percent}": round(percentile(values, percent), 2) for percent in (50, 95, 99)}


def ratio(value: float, base: float) -> float:
    return round(value / base, 2) if base else 0.0
