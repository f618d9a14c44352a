"""Clears what is old: a day's partitions, or some rows. One engine at a time; each piece is a transaction."""

from __future__ import annotations

from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from engine.operations.retention.kinds import Shelf, Sweep
from engine.store import retention
from engine.store.query import Operation, fetch
from engine.store.retention import Cutoffs, Day


class Dropped(Enum):
    """What became of a day's partitions."""

    GONE = auto()
    NEEDED = auto()
    """Something in them is needed: rows go one by one."""
    ANOTHERS_TURN = auto()
    """Another engine is at it."""


def drop_day(shelf: Shelf, day: Day) -> Operation[Dropped]:
    """Drop the partitions of a day unless something in them is needed.

    LostRace: somebody is working with these tables for longer than others may be kept waiting.
    """
    if not (yield from _take_turn()):
        return Dropped.ANOTHERS_TURN
    (is_needed,) = yield from fetch(shelf.needs(day))
    if is_needed:
        return Dropped.NEEDED
    (is_gone,) = yield from fetch(retention.drop_day(shelf.tables, day.name))
    return Dropped.GONE if is_gone else Dropped.NEEDED


def sweep_rows(
    sweep: Sweep, cutoffs: Cutoffs, after: UUID, limit: int
) -> Operation[tuple[int, UUID | None]]:
    """Remove some old rows; return how many, and where to go on, if there may be more."""
    if not (yield from _take_turn()):
        return 0, None
    keys = list((yield from sweep(cutoffs, after, limit)))
    return len(keys), max(keys, default=None)


def expire_sessions(now: datetime, limit: int) -> Operation[int]:
    """Remove some of the sessions of browsers that are over; return how many."""
    if not (yield from _take_turn()):
        return 0
    return len((yield from fetch(retention.remove_sessions(now, limit))))


def expire_audit(before: datetime, limit: int) -> Operation[int]:
    """Remove some old entries of the audit log; return how many."""
    if not (yield from _take_turn()):
        return 0
    (removed,) = yield from fetch(retention.remove_audit(before, limit))
    return removed


def _take_turn() -> Operation[bool]:
    (is_ours,) = yield from fetch(retention.take_turn())
    return is_ours
