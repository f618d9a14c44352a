"""Durations as SDKs write them in definitions and calls: `60s`, `1h30m`, `.5s`, `500ms`."""

from __future__ import annotations

import re

from engine.errors import InvalidArgument

LONGEST_SECONDS = 10 * 366 * 86_400
"""Ten years: anything longer is a mistake, and dates far beyond overflow."""

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str, field: str) -> float:
    """Return seconds, 0 included; InvalidArgument names `field` and what is wrong."""
    if len(text) > 100 or not _WHOLE.fullmatch(text):
        raise InvalidArgument(f'{field}: "{text[:100]}" is not a duration such as 30s, 5m or 1h30m')
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > LONGEST_SECONDS:
        raise InvalidArgument(f'{field}: "{text}" is longer than ten years')
    return seconds


_LONG_PART = re.compile(r"([0-9]+)([dwy])")
_LONG_SECONDS = {"d": 86_400.0, "w": 7 * 86_400.0, "y": 365 * 86_400.0}


def parse_sleep(text: str, field: str) -> float:
    """Return the seconds of a sleep, which may also be whole days, weeks or years: `2d`, `1w`."""
    whole = _LONG_PART.fullmatch(text[:10])
    if whole is None:
        return parse_duration(text, field)
    seconds = float(whole[1]) * _LONG_SECONDS[whole[2]]
    if seconds > LONGEST_SECONDS:
        raise InvalidArgument(f'{field}: "{text}" is longer than ten years')
    return seconds


_YEARS = re.compile(r"([0-9]+)y")
_YEAR_SECONDS = 365 * 86_400.0


def parse_durable_sleep(text: str, field: str) -> float:
    """Return the seconds of a durable sleep: also years, `1y`, and 0 for what is over, such as `-3s`."""
    if text.startswith("-"):
        parse_durable_sleep(text[1:], field)
        return 0.0
    whole = _YEARS.fullmatch(text[:10])
    if whole is None:
        return parse_sleep(text, field)
    seconds = float(whole[1]) * _YEAR_SECONDS
    if seconds > LONGEST_SECONDS:
        raise InvalidArgument(f'{field}: "{text}" is longer than ten years')
    return seconds
