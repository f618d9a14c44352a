"""How often something may be done, counted in each process by itself."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

MOST_KNOWN = 10_000


class Buckets(Generic[Key]):
    """One for each key, filled up by `per_second` to `burst`. Bounded; safe to share between threads."""

    def __init__(
        self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._lock = threading.Lock()
        self._left: OrderedDict[Key, tuple[float, float]] = OrderedDict()
        """What is left, and when that was; those asked longest ago come first."""

    def take(self, key: Key) -> bool:
        """Take one; False if there is none left."""
        now = self._clock()
        with self._lock:
            left, since = self._left.pop(key, (self._burst, now))
            left = min(self._burst, left + (now - since) * self._per_second)
            is_allowed = left >= 1.0
            self._left[key] = (left - 1.0 if is_allowed else left, now)
            while len(self._left) > MOST_KNOWN:
                self._left.popitem(last=False)
            return is_allowed
