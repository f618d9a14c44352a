"""The parser of durations as people and clients write them: `72h`, `1h30m`, `.5s`, `500ms`, `2d`.

What is allowed differs by place: definitions of tasks know neither days nor longer units, sleeps know one
whole day, week or year unit, lifetimes of tokens know days like any other unit.
"""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 7 * 86_400.0,
    "y": 365 * 86_400.0,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h|d)")
_SUM = re.compile(rf"(?:{_PART.pattern})+")
_LONG = re.compile(r"([0-9]{1,9})([dwy])")
_LONGEST_TEXT = 100
_SHORTEST_KEPT = timedelta(days=1)
_LONGEST_KEPT = timedelta(days=36_500)


def seconds_of(text: str, *, with_days: bool = False) -> float:
    """Return the seconds of a sum such as `1h30m`, 0 included; ValueError if it is none."""
    parts = _PART.findall(text)
    if len(text) > _LONGEST_TEXT or not _SUM.fullmatch(text):
        raise ValueError(f'"{text[:_LONGEST_TEXT]}" is not a duration such as 30s, 5m or 1h30m')
    if not with_days and any(unit == "d" for _, unit in parts):
        raise ValueError(f'"{text}" is not a duration such as 30s, 5m or 1h30m')
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def seconds_of_long(text: str) -> float | None:
    """Return the seconds of whole days, weeks or years, `2d`, `1w`; None if the text is no such thing."""
    whole = _LONG.fullmatch(text)
    return None if whole is None else float(whole[1]) * _SECONDS[whole[2]]


def parse_span(text: str) -> timedelta:
    """Return a span that may be nothing; ValueError with a sentence that names what is wrong."""
    try:
        return timedelta(seconds=seconds_of(text.strip(), with_days=True))
    except OverflowError as error:
        raise ValueError(f'"{text}" is too long') from error


def span_text(span: timedelta) -> str:
    """Return a span of whole seconds as it may be written: `1h`, `1h30m`, `90s` as `1m30s`."""
    rest, parts = int(span.total_seconds()), ""
    for unit in ("h", "m", "s"):
        number, rest = divmod(rest, int(_SECONDS[unit]))
        parts += f"{number}{unit}" if number else ""
    return parts or "0s"


def parse_lifetime(text: str) -> timedelta:
    """Return how long a token is to live; ValueError with a sentence that names what is wrong."""
    lifetime = parse_span(text)
    if lifetime <= timedelta(0):
        raise ValueError("a duration must be longer than nothing")
    return lifetime


def parse_kept(text: str) -> timedelta:
    """Return for how long something is to be kept; ValueError with a sentence that names what is wrong."""
    kept = parse_span(text)
    if not _SHORTEST_KEPT <= kept <= _LONGEST_KEPT:
        raise ValueError("what is kept is kept from a day (24h) to a hundred years (36500d)")
    return timedelta(seconds=round(kept.total_seconds()))


def shown_kept(seconds: float) -> str:
    """Return whole hours as clients read them, or seconds where they are none."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{round(seconds)}s" if rest else f"{hours}h"
