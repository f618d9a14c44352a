"""What a cron does when its time has come: fires, says what was missed, and waits for its next time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from engine.domain.cron.expression import Timing, last_times_begin
from engine.domain.cron.fields import SECOND
from engine.states import CronMissCause, MissedPolicy

LATEST = timedelta(seconds=60)
"""A time that is older is missed, whatever the reason."""
MOST_MADE_UP = 100
"""How many missed times a cron fires for that makes all of them up: the last ones."""
_JUST_BEFORE = timedelta(microseconds=1)


class Missed(NamedTuple):
    """Times for which a cron did not fire, from the first to the last of them."""

    cause: CronMissCause
    times: int
    first_at: datetime
    last_at: datetime
    detail: str = ""


class Firing(NamedTuple):
    """`fires_for` is the time it fires for now, if any; `due_at` is when it is to be looked at again."""

    fires_for: datetime | None
    due_at: datetime | None
    missed: Missed | None = None


class DueCron(NamedTuple):
    """A cron that is due. `fired_at`: the last time it fired for."""

    times: Timing
    due_at: datetime
    fired_at: datetime | None
    policy: MissedPolicy


def fire(cron: DueCron, now: datetime, running_since: datetime, *, is_paused: bool) -> Firing:
    """Decide what to do about a due cron. No engine was running before `running_since`.

    A paused one lets its times pass.
    """
    if cron.fired_at is not None and cron.due_at <= cron.fired_at:
        return Firing(None, cron.times.next_after(cron.fired_at))
    if is_paused:
        missed = missed_between(cron, now + _JUST_BEFORE, CronMissCause.PAUSED)
        return Firing(None, cron.times.next_after(now), missed)
    not_before = max(running_since, now - LATEST)
    if cron.due_at >= not_before:
        return Firing(cron.due_at, cron.times.next_after(cron.due_at))
    cause = CronMissCause.STOPPED if cron.due_at < running_since else CronMissCause.LATE
    if cron.policy is MissedPolicy.SKIP:
        missed = missed_between(cron, not_before, cause)
        return Firing(None, first_due(cron.times, not_before, cron.fired_at), missed)
    return _make_up(cron, now, cause)


def _make_up(cron: DueCron, now: datetime, cause: CronMissCause) -> Firing:
    """Fire for the first of those times that are to be made up; the others follow at once."""
    most = 1 if cron.policy is MissedPolicy.LATEST else MOST_MADE_UP
    begin = last_times_begin(cron.times, cron.due_at - SECOND, now, most)
    first = cron.times.next_after(begin)
    if first is None or first > now:
        return Firing(cron.due_at, cron.times.next_after(cron.due_at))
    if first == cron.due_at:
        return Firing(first, cron.times.next_after(first))
    if cron.policy is MissedPolicy.ALL:
        cause = CronMissCause.TOO_MANY
    return Firing(first, cron.times.next_after(first), missed_between(cron, first, cause))


def missed_between(
    cron: DueCron, until: datetime, cause: CronMissCause, detail: str = ""
) -> Missed:
    """Return the times from the due one on and before `until`; there is at least the due one."""
    last = max(cron.due_at, until - _JUST_BEFORE)
    before = cron.due_at - SECOND
    count = max(1, cron.times.count(before, last))
    last_at = cron.times.next_after(last_times_begin(cron.times, before, last, 1))
    if last_at is None or last_at > last:
        last_at = cron.due_at
    return Missed(cause, count, cron.due_at, last_at, detail)


def first_due(times: Timing, since: datetime, fired_at: datetime | None = None) -> datetime | None:
    """Return the first time from `since` on, that instant included, for which it did not fire yet."""
    just_before = since - _JUST_BEFORE
    return times.next_after(max(just_before, fired_at or just_before))
