"""Durations as people and clients write them: `90d`, `72h`, `1h30m`, `500ms`."""

from __future__ import annotations

import re
from datetime import timedelta

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> timedelta:
    """Return a positive duration or raise ValueError with a sentence that names what is wrong."""
    text = text.strip()
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'"{text}" is not a duration such as 90d, 72h or 1h30m')
    try:
        duration = timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
    except OverflowError as error:
        raise ValueError(f'"{text}" is too long') from error
    if duration <= timedelta(0):
        raise ValueError("a duration must be longer than nothing")
    return duration
