"""Calls back at an instant that only time brings about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

_SHORTEST_SECONDS = 0.001


class Alarm:
    """One timer that may be set anew at any time. `on_time` is called with the time it is by then."""

    def __init__(self, on_time: Callable[[float], None]) -> None:
        self._on_time = on_time
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float | None, now: float) -> None:
        """Call at `at`, in seconds since the epoch, instead of whenever it was; None: not at all."""
        if at == self._at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._at, self._timer = at, None
        if at is not None:
            self._timer = asyncio.get_running_loop().call_later(
                max(at - now, _SHORTEST_SECONDS), self._fire
            )

    def _fire(self) -> None:
        self._at = self._timer = None
        self._on_time(datetime.now(UTC).timestamp())
