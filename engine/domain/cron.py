"""Cron expressions: five fields, or six with the seconds first, in UTC unless a zone is named.

`TZ=Europe/Berlin 30 2 * * *` (or `CRON_TZ=`) is local time: a fixed hour that a change to summer time
skips fires right after the gap, and one that comes twice in autumn fires once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from engine.errors import InvalidArgument

MAX_CRON_LENGTH = 200

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)

_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)", re.DOTALL)
_DAYS = (-3, -1)
"""Where the day of the month and the day of the week stand, with and without seconds."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression."""

    fields: str
    zone: tzinfo

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first instant after `moment`, in UTC; None if there is none within decades."""
        try:
            found: datetime = next(CronSim(self.fields, moment.astimezone(self.zone)))
        except (StopIteration, OverflowError):
            return None
        after = found.astimezone(UTC)
        # A clock change must never make time run backwards.
        return after if after > moment else self.next_after(moment + timedelta(hours=1))


def parse_cron(expression: str, field: str, *, with_aliases: bool = False) -> Cron:
    """Return the parsed expression. InvalidArgument names `field` and what is wrong.

    `with_aliases` allows `@daily` and the like.
    """
    shown = f'{field}: "{expression[:MAX_CRON_LENGTH]}"'
    if len(expression) > MAX_CRON_LENGTH or not expression.isascii() or "\0" in expression:
        raise InvalidArgument(f"{shown} is not a cron expression")
    try:
        cron = _parse(expression, with_aliases)
    except CronSimError as error:
        raise InvalidArgument(f"{shown} is not a cron expression: {error}") from error
    except (KeyError, ValueError, OSError) as error:
        raise InvalidArgument(f"{shown} names a time zone that we do not know") from error
    return cron


@lru_cache(maxsize=10_000)
def _parse(expression: str, with_aliases: bool) -> Cron:
    zone: tzinfo = UTC
    text = expression.strip()
    if named := _ZONE.fullmatch(text):
        zone, text = ZoneInfo(named[1]), named[2]
    parts = text.split()
    if with_aliases and text in ALIASES:
        parts = ALIASES[text].split()
    if len(parts) not in (5, 6):
        raise CronSimError("it needs five fields, or six with the seconds first")
    for place in _DAYS:
        if parts[place] == "?":
            parts[place] = "*"
    fields = " ".join(parts)
    CronSim(fields, datetime(2026, 1, 1, tzinfo=UTC))
    return Cron(fields, zone)
