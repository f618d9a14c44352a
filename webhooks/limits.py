"""How often a webhook may be called, counted in each web process by itself."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

PER_SECOND = 50.0
BURST = 100.0
_MOST_KNOWN = 10_000


class CallLimits:
    """Fills up by PER_SECOND to BURST for each webhook. Bounded; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[UUID, tuple[float, float]] = OrderedDict()
        """What is left, and when that was; those called longest ago come first."""
        self._told: dict[UUID, float] = {}

    def take(self, webhook_id: UUID) -> bool:
        """Take one call; False if there is none left."""
        now = self._clock()
        with self._lock:
            left, since = self._left.pop(webhook_id, (BURST, now))
            left = min(BURST, left + (now - since) * PER_SECOND)
            is_allowed = left >= 1.0
            self._left[webhook_id] = (left - 1.0 if is_allowed else left, now)
            while len(self._left) > _MOST_KNOWN:
                self._told.pop(self._left.popitem(last=False)[0], None)
            return is_allowed

    def is_first_refusal(self, webhook_id: UUID) -> bool:
        """Whether none of the last second was recorded: recording all would be what is to be spared."""
        now = self._clock()
        with self._lock:
            if now - self._told.get(webhook_id, now - 2.0) < 1.0:
                return False
            self._told[webhook_id] = now
            return True


shared = CallLimits()
"""Those of this process."""
