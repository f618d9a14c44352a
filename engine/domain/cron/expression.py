"""Cron expressions: five fields, or six with the seconds first, in UTC unless a zone is named.

`TZ=Europe/Berlin 30 2 * * *` (or `CRON_TZ=`) is local time. Where minute and hour are given, each local
time is meant once: one that a change of the clocks skips fires right after the gap, and one that comes
twice fires the first time. Where one of them is left open, as in `*/10 * * * *` and `30 * * * *`, it
fires whenever the clocks show a time that fits. `@daily` and the like stand for fields, and
`@every 90m` is an interval, counted from the making of the cron.

Day of the month and day of the week: one is enough, unless one of them is `*` or `?`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol
from zoneinfo import ZoneInfo

from engine.domain.cron.fields import SECOND, FieldError, LocalTimes, parse_fields
from engine.domain.cron.local_time import changes_between, first_change, local, offset_at
from engine.domain.durations import parse_duration
from engine.errors import InvalidArgument

MAX_CRON_LENGTH = 200

DESCRIPTORS: Mapping[str, str] = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)

_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)", re.DOTALL)
_EVERY = re.compile(r"@every\s+(\S+)")


class Timing(Protocol):
    """When a cron fires. Instants are in UTC and whole seconds."""

    @property
    def zone(self) -> tzinfo: ...

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first instant after `moment`; None if there is none within decades."""

    def count(self, after: datetime, until: datetime) -> int:
        """Return how many instants there are later than `after`, up to `until`."""


@dataclass(frozen=True, slots=True)
class Cron:
    """Instants by the clocks of a zone."""

    times: LocalTimes
    zone: tzinfo

    def next_after(self, moment: datetime) -> datetime | None:
        try:
            start = moment.astimezone(UTC).replace(microsecond=0) + SECOND
            if self.times.is_by_the_clock:
                return self._first_time_of_day(start)
            return self._first_that_fits(start)
        except OverflowError:
            return None

    def _first_that_fits(self, start: datetime) -> datetime | None:
        """Look at each stretch between two clock changes by itself."""
        while True:
            offset = offset_at(start, self.zone)
            found = self.times.first_from((start + offset).replace(tzinfo=None))
            if found is None:
                return None
            at = found.replace(tzinfo=UTC) - offset
            change = first_change(start, at, self.zone)
            if change is None:
                return at
            start = change

    def _first_time_of_day(self, start: datetime) -> datetime | None:
        found = self.times.first_from(self._not_shown_before(start))
        return self._first_instant(found) if found is not None else None

    def _not_shown_before(self, moment: datetime) -> datetime:
        """Return what the clocks show, or the end of the local times that are there again."""
        shown = moment.astimezone(self.zone)
        if not shown.fold:
            return local(moment, self.zone)
        earlier = shown.replace(fold=0).utcoffset()
        assert earlier is not None, "every zone of ours knows its offset"
        *_, change = changes_between(moment - timedelta(days=2), moment, self.zone)
        return (change + earlier).replace(tzinfo=None)

    def _first_instant(self, shown: datetime) -> datetime:
        """Return when the clocks show that first; the end of the gap if they never do."""
        at = shown.replace(tzinfo=self.zone).astimezone(UTC)
        if local(at, self.zone) == shown:
            return at
        *_, change = changes_between(at - timedelta(days=2), at, self.zone)
        return change

    def count(self, after: datetime, until: datetime) -> int:
        """Add up the stretches between clock changes."""
        begin = after.astimezone(UTC).replace(microsecond=0) + SECOND
        end = until.astimezone(UTC).replace(microsecond=0) + SECOND
        total = 0
        for change in [*changes_between(begin, end, self.zone), end]:
            total += self._count_stretch(begin, change)
            begin = change
        return total

    def _count_stretch(self, begin: datetime, end: datetime) -> int:
        """Count from `begin` on and before `end`, between which no clock changes."""
        if begin >= end:
            return 0
        offset = offset_at(begin, self.zone)
        since, until = ((at + offset).replace(tzinfo=None) for at in (begin, end))
        if not self.times.is_by_the_clock:
            return self.times.count(since, until)
        skipped = local(begin - SECOND, self.zone) + SECOND
        is_late = skipped < since and self.times.count(skipped, since) > 0
        since = max(since, self._not_shown_before(begin))
        if is_late and self.times.count(since, since + SECOND) == 0:
            return 1 + self.times.count(since, until)
        return self.times.count(since, until)


@dataclass(frozen=True, slots=True)
class Every:
    """Instants at an interval. They are counted from `since`, so whoever asks gets the same."""

    interval: timedelta
    since: datetime
    zone: tzinfo = UTC

    def next_after(self, moment: datetime) -> datetime | None:
        try:
            return self.since + (self._passed(moment) + 1) * self.interval
        except OverflowError:
            return None

    def count(self, after: datetime, until: datetime) -> int:
        return max(0, self._passed(until) - self._passed(after))

    def _passed(self, moment: datetime) -> int:
        return max(0, (moment - self.since) // self.interval)


def parse_cron(expression: str, field: str, since: datetime) -> Timing:
    """Return when it fires; `@every` counts from `since`, when the cron was made.

    InvalidArgument names `field` and what is wrong.
    """
    found = check_cron(expression, field)
    if isinstance(found, Cron):
        return found
    return Every(found, since.astimezone(UTC).replace(microsecond=0))


def check_cron(expression: str, field: str) -> Cron | timedelta:
    """Return its fields, or the interval that it asks for; raises as `parse_cron` does."""
    shown = f'{field}: "{expression[:MAX_CRON_LENGTH]}"'
    if len(expression) > MAX_CRON_LENGTH or not expression.isascii() or "\0" in expression:
        raise InvalidArgument(f"{shown} is not a cron expression")
    try:
        return _parse(expression)
    except FieldError as error:
        raise InvalidArgument(f"{shown} is not a cron expression: {error}") from error
    except (KeyError, ValueError, OSError) as error:
        raise InvalidArgument(f"{shown} names a time zone that we do not know") from error


def last_times_begin(times: Timing, after: datetime, until: datetime, most: int) -> datetime:
    """Return the first moment from `after` on after which there are at most so many until `until`."""
    if times.count(after, until) <= most:
        return after
    early, late = 0, int((until - after).total_seconds()) + 1
    while late - early > 1:
        middle = (early + late) // 2
        if times.count(after + middle * SECOND, until) <= most:
            late = middle
        else:
            early = middle
    return after + late * SECOND


@lru_cache(maxsize=10_000)
def _parse(expression: str) -> Cron | timedelta:
    zone: tzinfo = UTC
    text = expression.strip()
    if named := _ZONE.fullmatch(text):
        zone, text = ZoneInfo(named[1]), named[2].strip()
    if text.startswith("@every"):
        return _interval(text)
    return Cron(parse_fields(DESCRIPTORS.get(text, text).split()), zone)


def _interval(text: str) -> timedelta:
    """Read `@every 1h30m`. Parts of a second do not count, and a second is the least."""
    given = _EVERY.fullmatch(text)
    if given is None:
        raise FieldError("@every needs a duration such as 5m")
    try:
        seconds = parse_duration(given[1], "@every")
    except InvalidArgument as error:
        raise FieldError(str(error)) from error
    if seconds <= 0:
        raise FieldError("@every needs a duration that is longer than nothing")
    return timedelta(seconds=max(1, int(seconds)))
