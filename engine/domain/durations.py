"""Durations as SDKs write them in definitions and calls: `60s`, `1h30m`, `.5s`, `500ms`."""

from __future__ import annotations

from engine.errors import InvalidArgument
from tenants.durations import seconds_of, seconds_of_long

LONGEST_SECONDS = 10 * 366 * 86_400
"""Ten years: anything longer is a mistake, and dates far beyond overflow."""


def parse_duration(text: str, field: str) -> float:
    """Return seconds, 0 included; InvalidArgument names `field` and what is wrong."""
    try:
        return _not_too_long(seconds_of(text), text, field)
    except ValueError as error:
        raise InvalidArgument(f"{field}: {error}") from error


def parse_sleep(text: str, field: str) -> float:
    """Return the seconds of a sleep, which may also be whole days, weeks or years: `2d`, `1w`."""
    seconds = seconds_of_long(text)
    return parse_duration(text, field) if seconds is None else _not_too_long(seconds, text, field)


def parse_durable_sleep(text: str, field: str) -> float:
    """Return the seconds of a durable sleep: 0 for what is over, such as `-3s`."""
    if text.startswith("-"):
        parse_durable_sleep(text[1:], field)
        return 0.0
    return parse_sleep(text, field)


def _not_too_long(seconds: float, text: str, field: str) -> float:
    if seconds > LONGEST_SECONDS:
        raise InvalidArgument(f'{field}: "{text}" is longer than ten years')
    return seconds
