"""Time that passes when nothing else can happen, and ids and dice that are the same for every run of a seed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from unittest import mock

MOST_SECONDS = 20_000.0
MOST_TURNS = 100_000
"""Turns of the loop in which no time passes."""

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


class Wedged(Exception):
    """Nothing can happen any more, or the same happens for ever."""


class _Idle(selectors.SelectSelector):
    """Instead of waiting for sockets, which nobody uses, it lets the time pass that was to be waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Wedged("nothing can happen any more")
        self._turns = 0 if timeout > 0 else self._turns + 1
        if self._turns > MOST_TURNS:
            raise Wedged(f"no time passes after {self.now} s")
        self.now += max(timeout, 0.0)
        if self.now > MOST_SECONDS:
            raise Wedged("it goes on for ever")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing that happens."""

    def __init__(self) -> None:
        self._idle = _Idle()
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.now

    @property
    def today(self) -> datetime:
        return EPOCH + timedelta(seconds=self._idle.now)


class _Clock:
    """Stands for the `datetime` class and the `time` module in the code that is simulated."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self, tz: tzinfo | None = None) -> datetime:
        return self._loop.today.astimezone(tz)

    def monotonic(self) -> float:
        return self._loop.time()

    def time_ns(self) -> int:
        return int(self._loop.today.timestamp() * 1_000_000) * 1_000


class _Randomness:
    def __init__(self, dice: random.Random) -> None:
        self.urandom = dice.randbytes


@contextlib.contextmanager
def virtual_world(seed: int) -> Iterator[VirtualLoop]:
    """Have engine code read the clock of the loop, and make ids that depend on nothing but the seed."""
    loop = VirtualLoop()
    clock, dice = _Clock(loop), random.Random(seed)
    places = {
        "engine.runtime.durable.service.datetime": clock,
        "engine.runtime.controllers.ended_children.datetime": clock,
        "engine.runtime.durable.stream.time": clock,
        "engine.runtime.durable.evictions.time": clock,
        "engine.ids.time": clock,
        "engine.ids.os": _Randomness(dice),
        "engine.ids.getrandbits": dice.getrandbits,
        "engine.ids._last": 0,
        "engine.operations.parts.versions._cache": {},
    }
    with contextlib.ExitStack() as stack:
        for place, stand_in in places.items():
            stack.enter_context(mock.patch(place, stand_in))
        try:
            yield loop
        finally:
            loop.close()
