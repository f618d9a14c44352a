"""How often a webhook may be called, counted in each web process by itself."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from tenants.buckets import MOST_KNOWN, Buckets

PER_SECOND = 50.0
BURST = 100.0


class CallLimits:
    """Fills up by PER_SECOND to BURST for each webhook. Bounded; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: Buckets[UUID] = Buckets(PER_SECOND, BURST, clock)
        self._lock = threading.Lock()
        self._told: OrderedDict[UUID, float] = OrderedDict()

    def take(self, webhook_id: UUID) -> bool:
        """Take one call; False if there is none left."""
        return self._calls.take(webhook_id)

    def is_first_refusal(self, webhook_id: UUID) -> bool:
        """Whether none of the last second was recorded: recording all would be what is to be spared."""
        now = self._clock()
        with self._lock:
            if now - self._told.get(webhook_id, now - 2.0) < 1.0:
                return False
            self._told[webhook_id] = now
            self._told.move_to_end(webhook_id)
            while len(self._told) > MOST_KNOWN:
                self._told.popitem(last=False)
            return True


shared = CallLimits()
"""Those of this process."""
