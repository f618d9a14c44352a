"""Moments as people type them: a date and time in UTC, or how long from now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.domain.durations import parse_sleep
from engine.errors import InvalidArgument

_WRONG = (
    "Not a moment: write a date and time such as 2030-01-31 08:00, or a delay such as 15m or 2d."
)


def moment_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def parse_when(text: str, now: datetime) -> tuple[datetime | None, str]:
    """Return a moment that is still to come, or None and what is wrong."""
    text = text.strip().removeprefix("in ")
    try:
        moment = now + timedelta(seconds=parse_sleep(text, "delay"))
    except InvalidArgument:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None, _WRONG
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        return None, _WRONG
    if moment < now:
        return None, "That moment is past. To start a run at once, trigger it."
    return moment, ""
