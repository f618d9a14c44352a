"""The fields of a cron expression: which local times it names, in a calendar without clock changes."""

from __future__ import annotations

import calendar
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

SECOND = timedelta(seconds=1)
_YEARS_AHEAD = 50
"""The rarest dates there are, such as a fifth Monday on 29 February, come again within that time."""


class FieldError(Exception):
    """A field cannot be read; the message says which and why."""


class _Bounds(NamedTuple):
    name: str
    lowest: int
    highest: int
    words: Sequence[str] = ()
    first_word: int = 0


_SECONDS = _Bounds("second", 0, 59)
_MINUTES = _Bounds("minute", 0, 59)
_HOURS = _Bounds("hour", 0, 23)
_DAYS = _Bounds("day of the month", 1, 31)
_MONTHS = _Bounds(
    "month",
    1,
    12,
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    1,
)
_WEEKDAYS = _Bounds("day of the week", 0, 6, ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])


@dataclass(frozen=True, slots=True)
class _Days:
    """Which days fit. Weekdays count from Sunday, 0."""

    days: frozenset[int]
    is_last: bool
    """The last day of a month, `L`."""
    is_last_workday: bool
    """The last day of a month that is from Monday to Friday, `LW`."""
    weekdays: frozenset[int]
    nth: frozenset[tuple[int, int]]
    """Such as the second Friday of a month, `FRI#2`; 0 for the last one, `FRIL`."""
    is_both: bool
    """Both fields must fit, because one of them leaves everything open; else one is enough."""

    def fit(self, day: date) -> bool:
        if self.is_both:
            return self._fits_month(day) and self._fits_week(day)
        return self._fits_month(day) or self._fits_week(day)

    def _fits_month(self, day: date) -> bool:
        if day.day in self.days:
            return True
        if not (self.is_last or self.is_last_workday):
            return False
        first, last = calendar.monthrange(day.year, day.month)
        if self.is_last and day.day == last:
            return True
        workday = last - max(0, (first + last - 1) % 7 - 4)
        return self.is_last_workday and day.day == workday

    def _fits_week(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if weekday in self.weekdays:
            return True
        if not self.nth:
            return False
        if (weekday, (day.day + 6) // 7) in self.nth:
            return True
        _, last = calendar.monthrange(day.year, day.month)
        return (weekday, 0) in self.nth and day.day + 7 > last


@dataclass(frozen=True, slots=True)
class LocalTimes:
    """The local times that an expression names, all in whole seconds and without a zone."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: _Days = field(repr=False)
    months: frozenset[int]
    is_by_the_clock: bool
    """Neither minute nor hour is left open: it names times of the day, not intervals."""

    def first_from(self, moment: datetime) -> datetime | None:
        """Return the first of them from a whole second on; None if there is none within decades."""
        day = moment.date()
        if day.month in self.months and self.days.fit(day):
            found = self._first_of_day(moment.hour, moment.minute, moment.second)
            if found is not None:
                return datetime.combine(day, found)
        next_day = self.day_after(day)
        if next_day is None:
            return None
        return datetime.combine(next_day, time(self.hours[0], self.minutes[0], self.seconds[0]))

    def count(self, since: datetime, until: datetime) -> int:
        """Return how many there are from `since` on and before `until`."""
        if since >= until:
            return 0
        day, last = since.date(), until.date()
        total = 0
        while day <= last:
            if day.month in self.months and self.days.fit(day):
                begin = self._count_before(since.time()) if day == since.date() else 0
                end = self._count_before(until.time()) if day == last else self._a_day
                total += end - begin
            day += timedelta(days=1)
        return total

    @property
    def _a_day(self) -> int:
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def _count_before(self, at: time) -> int:
        """Return how many times of a day come before that one."""
        seconds, minutes = len(self.seconds), len(self.minutes)
        found = bisect_left(self.hours, at.hour) * minutes * seconds
        if at.hour in self.hours:
            found += bisect_left(self.minutes, at.minute) * seconds
            if at.minute in self.minutes:
                found += bisect_left(self.seconds, at.second)
        return found

    def _first_of_day(self, hour: int, minute: int, second: int) -> time | None:
        """Return the first time of the day from that one on."""
        place = bisect_left(self.seconds, second)
        if hour in self.hours and minute in self.minutes and place < len(self.seconds):
            return time(hour, minute, self.seconds[place])
        place = bisect_left(self.minutes, minute + 1)
        if hour in self.hours and place < len(self.minutes):
            return time(hour, self.minutes[place], self.seconds[0])
        place = bisect_left(self.hours, hour + 1)
        if place < len(self.hours):
            return time(self.hours[place], self.minutes[0], self.seconds[0])
        return None

    def day_after(self, day: date) -> date | None:
        """Return the first day later than that one on which there are any; None as in `first_from`."""
        year, month, first = day.year, day.month, day.day + 1
        while year <= min(day.year + _YEARS_AHEAD, 9999):
            if month in self.months:
                for number in range(first, calendar.monthrange(year, month)[1] + 1):
                    if self.days.fit(found := date(year, month, number)):
                        return found
            first = 1
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return None


def parse_fields(parts: Sequence[str]) -> LocalTimes:
    """Read five fields, or six with the seconds first. FieldError: they are no expression."""
    if len(parts) not in (5, 6):
        raise FieldError("it needs five fields, or six with the seconds first")
    second, minute, hour, day, month, weekday = parts if len(parts) == 6 else ("0", *parts)
    days, is_any_day = _parse(day, _DAYS, _SPECIAL_DAYS)
    weekdays, is_any_weekday = _parse(weekday, _WEEKDAYS)
    times = LocalTimes(
        tuple(sorted(_parse(second, _SECONDS)[0].numbers)),
        tuple(sorted(_parse(minute, _MINUTES)[0].numbers)),
        tuple(sorted(_parse(hour, _HOURS)[0].numbers)),
        _Days(
            days.numbers,
            "L" in days.words,
            "LW" in days.words,
            weekdays.numbers,
            weekdays.nth,
            is_any_day or is_any_weekday,
        ),
        _parse(month, _MONTHS)[0].numbers,
        not (_is_open(minute) or _is_open(hour)),
    )
    if times.day_after(date.min) is None:
        raise FieldError("there is no such day")
    return times


_SPECIAL_DAYS = frozenset({"L", "LW"})


class _Field(NamedTuple):
    numbers: frozenset[int]
    words: frozenset[str]
    nth: frozenset[tuple[int, int]]


def _is_open(text: str) -> bool:
    return any(item.startswith(("*", "?")) for item in text.split(","))


def _parse(
    text: str, bounds: _Bounds, special: frozenset[str] = frozenset()
) -> tuple[_Field, bool]:
    """Return a field, and whether it leaves everything open: `*` and `?` do, `*/2` does not."""
    numbers: set[int] = set()
    words: set[str] = set()
    nth: set[tuple[int, int]] = set()
    is_any = False
    for item in text.upper().split(","):
        if item in special:
            words.add(item)
        elif bounds is _WEEKDAYS and ("#" in item or (item[:-1] and item.endswith("L"))):
            nth.add(_nth_weekday(item))
        else:
            found = _numbers(item, bounds)
            numbers.update(number % 7 if bounds is _WEEKDAYS else number for number in found)
            is_any = is_any or (item[0] in "*?" and found.step == 1)
    return _Field(frozenset(numbers), frozenset(words), frozenset(nth)), is_any


def _nth_weekday(item: str) -> tuple[int, int]:
    if item.endswith("L"):
        return _number(item[:-1], _WEEKDAYS) % 7, 0
    weekday, _, place = item.partition("#")
    if place not in ("1", "2", "3", "4", "5"):
        raise FieldError(f"bad {_WEEKDAYS.name}")
    return _number(weekday, _WEEKDAYS) % 7, int(place)


def _numbers(item: str, bounds: _Bounds) -> range:
    """Read `5`, `1-5`, `*`, each with a step or without; `5/10` means from 5 on."""
    span, slash, step_text = item.partition("/")
    step = _digits(step_text, bounds) if slash else 1
    if step == 0:
        raise FieldError(f"bad {bounds.name}")
    if span in ("*", "?"):
        return range(bounds.lowest, bounds.highest + 1, step)
    first_text, dash, last_text = span.partition("-")
    first = _number(first_text, bounds)
    last = _number(last_text, bounds) if dash else max(first, bounds.highest) if slash else first
    if last < first:
        raise FieldError(f"bad {bounds.name}")
    return range(first, last + 1, step)


def _number(text: str, bounds: _Bounds) -> int:
    if text in bounds.words:
        return bounds.words.index(text) + bounds.first_word
    number = _digits(text, bounds)
    highest = 7 if bounds is _WEEKDAYS else bounds.highest
    if not bounds.lowest <= number <= highest:
        raise FieldError(f"bad {bounds.name}")
    return number


def _digits(text: str, bounds: _Bounds) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise FieldError(f"bad {bounds.name}")
    return int(text)
