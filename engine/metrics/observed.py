"""A histogram to which what others have counted is added."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class ObservedHistogram(Collector):
    """`bounds` are the upper ones of its buckets; above them is one more."""

    def __init__(self, name: str, about: str, bounds: Sequence[float]) -> None:
        self._name, self._about, self._bounds = name, about, bounds
        self._counts = [0.0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def add(self, bucket: int, count: float) -> None:
        with self._lock:
            self._counts[bucket] += count

    def add_sum(self, amount: float) -> None:
        with self._lock:
            self._sum += amount

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            counts, total = list(self._counts), self._sum
        told, passed = [], 0.0
        for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
            passed += count
            told.append((_bound(bound), passed))
        family = HistogramMetricFamily(self._name, self._about)
        family.add_metric([], buckets=told, sum_value=total)
        yield family


def _bound(value: float) -> str:
    return "+Inf" if value == float("inf") else repr(float(value))
