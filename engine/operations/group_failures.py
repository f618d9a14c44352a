"""Counts failed attempts into the groups of those that are the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.store import error_groups
from engine.store.error_groups import Counted, FailedRow, Group, Tally
from engine.store.query import Operation, fetch, fetch_all

AT_ONCE = 1_000
_NO_WORKER = UUID(int=0)

Key = tuple[UUID, bytes]


class Grouped(NamedTuple):
    """How many failures were counted, and the groups they went into."""

    number: int
    groups: list[Group]


def group_failures(now: datetime) -> Operation[Grouped]:
    """Count the oldest failures that belong to no group.

    Failures that another engine counts are passed over. The groups are locked in one order.
    """
    rows = yield from fetch(error_groups.take(AT_ONCE))
    if not rows:
        return Grouped(0, [])
    of_key: dict[Key, list[FailedRow]] = defaultdict(list)
    for row in rows:
        of_key[_key(row)].append(row)
    counted = [_count(of_key[key]) for key in sorted(of_key)]
    groups = yield from fetch(error_groups.add(counted, now))
    group_of = {_key(group): group.id for group in groups}
    settled = [(row.id, group_of[_key(row)]) for row in rows]
    yield from fetch_all(error_groups.settle(settled), error_groups.tally(_tallies(rows, group_of)))
    return Grouped(len(rows), groups)


def _key(row: FailedRow | Group) -> Key:
    return row.tenant_id, bytes(row.digest)  # Django's connection gives a view of them


def _count(rows: Sequence[FailedRow]) -> Counted:
    latest = max(rows, key=lambda row: (row.at, row.id))
    finals = sum(row.is_final for row in rows)
    return Counted(latest, len(rows), finals, min(row.at for row in rows))


def _tallies(rows: Sequence[FailedRow], group_of: dict[Key, UUID]) -> list[Tally]:
    counts = Counter(
        (
            group_of[_key(row)],
            row.at.replace(minute=0, second=0, microsecond=0),
            row.version_id,
            row.worker_id or _NO_WORKER,
        )
        for row in rows
    )
    return [Tally(*key, count) for key, count in sorted(counts.items())]
