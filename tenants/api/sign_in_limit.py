"""A bound on how fast one address may try passwords."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class SignInLimit:
    """A token bucket for each address; the addresses seen longest ago are dropped first."""

    def __init__(
        self,
        *,
        per_second: float = 10.0,
        most_addresses: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._most_addresses = most_addresses
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        now = self._clock()
        with self._lock:
            left, at = self._buckets.pop(address, (self._per_second, now))
            left = min(self._per_second, left + (now - at) * self._per_second)
            is_allowed = left >= 1.0
            self._buckets[address] = (left - 1.0 if is_allowed else left, now)
            while len(self._buckets) > self._most_addresses:
                self._buckets.popitem(last=False)
        return is_allowed


sign_in_limit = SignInLimit()
"""The limit of this process."""
