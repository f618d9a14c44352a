"""Crons through every change of every zone's clocks in ten years, and against another implementation."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cronsim import CronSim

from engine.domain.cron.expression import parse_cron

MINUTE, WEEK = timedelta(minutes=1), timedelta(weeks=1)
AROUND = timedelta(hours=13)
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2034, 1, 1, tzinfo=UTC)
CASES: dict[str, tuple[Callable[[datetime], bool], bool]] = {
    "15,55 2,3 * * *": (lambda at: at.minute in (15, 55) and at.hour in (2, 3), True),
    "10,30 0-4,23 * * *": (
        lambda at: at.minute in (10, 30) and at.hour in (0, 1, 2, 3, 4, 23),
        True,
    ),
    "0 0 * * *": (lambda at: at.minute == at.hour == 0, True),
    "30 * * * *": (lambda at: at.minute == 30, False),
    "*/20 0-2 * * *": (lambda at: at.minute % 20 == 0 and at.hour in (0, 1, 2), False),
}
"""Expressions, the local times they name, and whether each of those is meant once."""


def shown(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def changes() -> Iterator[tuple[str, datetime]]:
    """Every change of clocks, but for those that look alike in the zone's own time."""
    seen = set()
    for name in sorted(available_timezones() - {"localtime", "Factory"}):
        zone, begin = ZoneInfo(name), FIRST
        before = begin.astimezone(zone).utcoffset()
        while begin < LAST:
            end = begin + WEEK  # Morocco's pair of changes is the closest, a month apart
            after = end.astimezone(zone).utcoffset()
            if before != after:
                minutes = range(int(WEEK / MINUTE) + 1)
                place = bisect_left(minutes, True, key=partial(has_offset, zone, after, begin))
                at = begin + place * MINUTE
                kind = shown(at - MINUTE, zone).time(), before, after
                if kind not in seen:
                    seen.add(kind)
                    yield name, at
            begin, before = end, after


def has_offset(zone: ZoneInfo, offset: timedelta | None, begin: datetime, minutes: int) -> bool:
    return (begin + minutes * MINUTE).astimezone(zone).utcoffset() == offset


def by_looking_at_every_minute(
    zone: ZoneInfo, fits: Callable[[datetime], bool], is_meant_once: bool, around: datetime
) -> list[datetime]:
    """Return when it fires, told by nothing but what the clocks show from minute to minute."""
    found: list[datetime] = []
    at, end = around - AROUND, around + AROUND
    latest = shown(at, zone)
    while at < end:
        at += MINUTE
        now = shown(at, zone)
        if not is_meant_once:
            is_due = fits(now)
        else:
            new = int((now - latest) / MINUTE)
            is_due = any(fits(latest + n * MINUTE) for n in range(1, new + 1))
            latest = max(latest, now)
        if is_due:
            found.append(at)
    return found


def test_it_fires_when_looking_at_every_minute_says_so() -> None:
    chance, looked_at = random.Random(16), 0
    for name, change in changes():
        begin, end = change - AROUND, change + AROUND
        for expression, (fits, is_meant_once) in CASES.items():
            expected = by_looking_at_every_minute(ZoneInfo(name), fits, is_meant_once, change)
            times = parse_cron(f"TZ={name} {expression}", "cron", begin)
            moment, found = begin, []
            while (following := times.next_after(moment)) and following <= end:
                moment = following
                found.append(following)
            assert found == expected, (name, expression, change)
            assert times.count(begin, end) == len(expected)
            asked = change + timedelta(seconds=chance.randrange(-7_200, 7_200))
            rest = [at for at in expected if at > asked]
            assert not rest or times.next_after(asked) == rest[0]
            assert times.count(asked, end) == len(rest)
        looked_at += 1
    assert looked_at > 20


def random_field(chance: random.Random, lowest: int, highest: int) -> str:
    first, last = sorted(chance.randint(lowest, highest) for _ in range(2))
    return chance.choice(
        [
            "*",
            str(first),
            f"{first},{last}",
            f"{first}-{last}",
            f"*/{chance.randint(2, 9)}",
            f"{first}-{last + 1 if last < highest else last}/2" if first < last else str(first),
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_another_implementation_agrees(seed: int) -> None:
    """In UTC; where a day of the month has a step it joins them otherwise, so there one is a star."""
    chance = random.Random(seed)
    for _ in range(100):
        days = random_field(chance, 1, 28), random_field(chance, 0, 6)
        if any("/" in field and field.startswith("*") for field in days):
            days = chance.choice([(days[0], "*"), ("*", days[1])])
        fields = [
            random_field(chance, 0, 59),
            random_field(chance, 0, 23),
            days[0],
            random_field(chance, 1, 12),
            days[1],
        ]
        if chance.random() < 0.3:
            fields.insert(0, random_field(chance, 0, 59))
        expression = " ".join(fields)
        asked = FIRST + timedelta(seconds=chance.randrange(86_400 * 3_653))
        times, moment = parse_cron(expression, "cron", asked), asked
        for expected in islice(CronSim(expression, asked), 5):
            following = times.next_after(moment)
            assert following == expected, (expression, moment)
            moment = following
