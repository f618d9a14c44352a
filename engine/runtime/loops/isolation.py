"""One bad row fails alone: what many tenants share is tried together, and apart when that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from engine.domain.cel.answers import Unanswered
from engine.errors import HatchetError
from engine.runtime.loops.outages import is_outage

log = logging.getLogger("hatchet.isolation")

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)

SET_ASIDE_SECONDS = 300.0
"""After that long what could not be done is tried again."""
_MOST_SET_ASIDE = 10_000
_LONGEST_CAUSE = 500


def _is_nobodys_fault(error: Exception) -> bool:
    """The database was away, others were first, or expressions have to be evaluated before."""
    return is_outage(error) or isinstance(error, Unanswered)


def cause_of(error: Exception) -> str:
    """Return what went wrong, in one line for people."""
    text = " ".join(str(error).split("\n", 1)[0].replace("\0", "").split())
    return f"{type(error).__name__}: {text}"[:_LONGEST_CAUSE]


async def isolate(
    what: str,
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], Awaitable[object]],
    set_aside: Callable[[Item, Exception], Awaitable[None]],
) -> None:
    """Do `work` on all items; when it fails on each half, until those that break it are alone.

    `set_aside` is told of them, and says so where people look, and has them come up again no sooner than
    later. Outages and lost races are nobody's fault: they are raised.
    """
    if not items:
        return
    error = await _failure(work, items)
    if error is None:
        return
    if len(items) == 1:
        await _give_up(what, items[0], error, set_aside)
        return
    half = len(items) // 2
    await isolate(what, items[:half], work, set_aside)
    await isolate(what, items[half:], work, set_aside)


async def _failure(
    work: Callable[[Sequence[Item]], Awaitable[object]], items: Sequence[Item]
) -> Exception | None:
    """Do the work; return why it failed, if it did and the items may be to blame."""
    try:
        await work(items)
    except Exception as error:
        if _is_nobodys_fault(error):
            raise
        return error
    return None


async def _give_up(
    what: str,
    item: Item,
    error: Exception,
    set_aside: Callable[[Item, Exception], Awaitable[None]],
) -> None:
    try:
        await set_aside(item, error)
    except Exception as second:
        if _is_nobodys_fault(second):
            raise
        log.exception("%s: %r could not be set aside", what, item)


async def work_off(
    what: str,
    work: Callable[[Sequence[Item] | None], Awaitable[int]],
    due: Callable[[], Awaitable[Sequence[Item]]],
    set_aside: Callable[[Item, Exception], Awaitable[None]],
) -> int:
    """Do `work(None)`, which finds for itself what is due and returns how much; how much was done.

    Only when that fails, what is `due` is read and isolated.
    """
    try:
        return await work(None)
    except Exception as error:
        if _is_nobodys_fault(error):
            raise
        failure = error
    items = await due()
    if not items:
        raise failure
    done = 0

    async def counted(part: Sequence[Item]) -> None:
        nonlocal done
        done += await work(part)

    async def logged(item: Item, error: Exception) -> None:
        trace = None if isinstance(error, HatchetError) else error
        log.error("%s: %r is set aside: %s", what, item, cause_of(error), exc_info=trace)
        await set_aside(item, error)

    await isolate(what, items, counted, logged)
    return done


async def each_alone(
    what: str, items: Iterable[Item], work: Callable[[Item], Awaitable[object]]
) -> None:
    """Do `work` on one item after the other; a failure is logged and keeps nothing from the rest."""
    for item in items:
        try:
            await work(item)
        except Exception as error:
            if _is_nobodys_fault(error):
                raise
            log.exception("%s failed", what)


class SetAside(Generic[Key]):
    """What cannot be done now and has no row that could say so; it is tried again after a while."""

    def __init__(self) -> None:
        self._until: dict[Key, float] = {}

    def add(self, key: Key) -> None:
        if len(self._until) >= _MOST_SET_ASIDE:
            del self._until[next(iter(self._until))]
        self._until[key] = asyncio.get_running_loop().time() + SET_ASIDE_SECONDS

    def now(self) -> Collection[Key]:
        """Return what is not to be tried now."""
        if self._until:
            now = asyncio.get_running_loop().time()
            self._until = {key: until for key, until in self._until.items() if until > now}
        return self._until.keys()
