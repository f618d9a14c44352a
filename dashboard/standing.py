"""How a tenant stands, in one sentence: what keeps work from being done first, then what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from dashboard.sparkline import Sparkline, hours_before, sparkline
from engine.ids import time_of
from engine.states import Status
from engine.store.now import FactsRow

HOURS = 24
FEW_FAILURES = 5
"""So few are not called more than usual, unless none is."""
LONG_WAIT = timedelta(minutes=5)
CROWDED = 0.9
"""Of the connections that the database has; more is worth a word."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Tasks that wait for an action; `last_worker` is who offered it last, with `id`, `name` and `at`."""

    action: str
    number: int
    oldest_id: UUID
    is_covered: bool
    last_worker: Mapping[str, Any] | None

    @property
    def since(self) -> datetime:
        return time_of(self.oldest_id)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a page needs to know; `usual` are failed runs an hour, over the hours before the last."""

    has_runs: bool = True
    is_scheduled: bool = True
    engines: int = 1
    workers: int = 1
    waiting: Sequence[Waiting] = ()
    runs: int = 0
    failed: int = 0
    usual: float = 0.0
    open_errors: int = 0
    missed: Sequence[Mapping[str, Any]] = ()
    paused: Sequence[Mapping[str, Any]] = ()
    changes: Sequence[Mapping[str, Any]] = ()
    failures: Sparkline | None = None
    database_bytes: int = 0
    connections: int = 0
    most_connections: int = 100

    @property
    def uncovered(self) -> list[Waiting]:
        return [one for one in self.waiting if not one.is_covered]

    @property
    def oldest(self) -> Waiting | None:
        return min(self.waiting, key=lambda one: one.oldest_id, default=None)

    @property
    def is_above_usual(self) -> bool:
        return self.failed > 3 * self.usual and (
            self.failed > FEW_FAILURES or self.usual == 0 < self.failed
        )


class Verdict(NamedTuple):
    """`state` is that of a notice: success, warning or error."""

    state: str
    sentence: str


class _Trouble(NamedTuple):
    is_grave: bool
    words: str


def verdict(facts: Facts, now: datetime) -> Verdict:
    """Say what is the matter, the gravest first; that all is well if nothing is."""
    troubles = sorted(_troubles(facts, now), key=lambda trouble: not trouble.is_grave)
    if not troubles:
        return Verdict("success", _well(facts))
    state = "error" if troubles[0].is_grave else "warning"
    return Verdict(state, " ".join(trouble.words for trouble in troubles))


def _troubles(facts: Facts, now: datetime) -> Iterator[_Trouble]:
    if not facts.is_scheduled:
        yield _Trouble(True, "No engine schedules this tenant: nothing starts.")
    yield from _unserved(facts)
    if facts.is_above_usual:
        usually = f"usually {facts.usual:.0f} an hour" if facts.usual >= 0.5 else "usually none"
        yield _Trouble(True, f"{_runs(facts.failed)} of the last hour failed, {usually}.")
    oldest = facts.oldest
    if oldest is not None and oldest.is_covered and now - oldest.since > LONG_WAIT:
        waits = f"The oldest queued task waits for {_length(now - oldest.since)}"
        yield _Trouble(False, f"{waits}, for {oldest.action}.")
    if facts.missed:
        times = sum(int(miss["times"]) for miss in facts.missed)
        yield _Trouble(
            False,
            f"{_number(len(facts.missed), 'cron')} missed {_number(times, 'time')} in the last 24 hours.",
        )
    if facts.paused:
        names = ", ".join(str(one["name"]) for one in facts.paused[:3])
        more = " and others" if len(facts.paused) > 3 else ""
        verb = "is" if len(facts.paused) == 1 else "are"
        yield _Trouble(False, f"{names}{more} {verb} paused.")
    if facts.connections > CROWDED * facts.most_connections:
        of = f"{facts.connections} of {facts.most_connections}"
        yield _Trouble(False, f"The database has {of} connections in use.")


def _unserved(facts: Facts) -> Iterator[_Trouble]:
    uncovered = facts.uncovered
    if not uncovered:
        return
    number = sum(one.number for one in uncovered)
    names = ", ".join(one.action for one in uncovered[:3])
    more = f" and {len(uncovered) - 3} more" if len(uncovered) > 3 else ""
    verb = "waits" if number == 1 else "wait"
    yield _Trouble(
        True, f"{_number(number, 'task')} {verb} for {names}{more}, which no worker offers."
    )


def _well(facts: Facts) -> str:
    if not facts.runs:
        return f"All is well: nothing waits, {_number(facts.workers, 'worker')} connected."
    failed = f"{facts.failed:,} failed" if facts.failed else "none failed"
    return (
        f"All is well: {_runs(facts.runs)} in the last hour, {failed},"
        f" {_number(facts.workers, 'worker')} connected."
    )


def _runs(number: int) -> str:
    return _number(number, "run")


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _length(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} m"
    if minutes < 60 * 24:
        return f"{minutes // 60} h {minutes % 60:02d} m"
    return f"{minutes // 1440} d {minutes % 1440 // 60:02d} h"


def facts_from(row: FactsRow, now: datetime) -> Facts:
    """Read the row's lists; counts of the tally may be a little below nothing for a moment."""
    hours = orjson.loads(row.hours)
    last = {one["status"]: max(int(one["number"]), 0) for one in orjson.loads(row.last_hour)}
    failed_by_hour = {
        datetime.fromisoformat(one["hour"]): max(int(one["number"]), 0)
        for one in hours
        if one["status"] == Status.FAILED
    }
    failed = last.get(Status.FAILED, 0)
    earlier = max(sum(failed_by_hour.values()) - failed, 0)
    return Facts(
        has_runs=row.has_runs,
        is_scheduled=row.is_scheduled,
        engines=row.engines,
        workers=row.workers,
        waiting=[_waiting(one) for one in orjson.loads(row.waiting)],
        runs=sum(last.values()),
        failed=failed,
        usual=earlier / (HOURS - 1),
        open_errors=row.open_errors,
        missed=orjson.loads(row.missed),
        paused=orjson.loads(row.paused),
        changes=_changes(orjson.loads(row.versions), orjson.loads(row.audit)),
        failures=sparkline(failed_by_hour, hours_before(now, HOURS), width=480, height=48),
        database_bytes=row.database_bytes,
        connections=row.connections,
        most_connections=row.most_connections,
    )


def _waiting(one: Mapping[str, Any]) -> Waiting:
    last = one["last_worker"]
    known = last and {**last, "at": datetime.fromisoformat(last["at"])}
    return Waiting(one["action"], int(one["number"]), UUID(one["oldest"]), one["is_covered"], known)


def _changes(
    versions: Sequence[Mapping[str, Any]], audit: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """New versions and what was changed by hand, the latest first."""
    changes = [
        {
            "at": datetime.fromisoformat(one["at"]),
            "workflow_id": one["id"],
            "words": f"{one['name']}: version {one['number']}",
        }
        for one in versions
    ]
    changes += [
        {
            "at": datetime.fromisoformat(one["at"]),
            "entry_id": one["id"],
            "words": f"{one['action']} {one['name']}".strip(),
            "actor": one["actor"],
        }
        for one in audit
    ]
    return sorted(changes, key=lambda change: change["at"], reverse=True)
