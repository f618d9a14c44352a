"""The next times of a cron expression, in UTC and in the zone it names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from engine.domain.cron.expression import parse_cron
from engine.errors import InvalidArgument

TIMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Upcoming:
    """`local` repeats each time in the expression's own zone; it is empty for UTC."""

    times: tuple[tuple[datetime, str], ...] = ()
    zone: str = ""
    problem: str = ""


def upcoming(expression: str, now: datetime, since: datetime | None = None) -> Upcoming:
    """Return its times after `now`; it was made at `since`, or would be made now."""
    try:
        cron = parse_cron(expression, "expression", since or now)
    except InvalidArgument as error:
        return Upcoming(problem=str(error))
    times: list[tuple[datetime, str]] = []
    moment: datetime | None = now
    while moment is not None and len(times) < TIMES_SHOWN:
        moment = cron.next_after(moment)
        if moment is not None:
            local = moment.astimezone(cron.zone)
            times.append((moment, "" if cron.zone is UTC else f"{local:%Y-%m-%d %H:%M:%S %Z}"))
    if not times:
        return Upcoming(problem="expression: it never comes true, such as on 30 February")
    return Upcoming(tuple(times), "" if cron.zone is UTC else str(cron.zone))
