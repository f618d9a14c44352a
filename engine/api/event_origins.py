"""Which webhooks events came in by. What receives them stands above the engine and says so at its start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

LookUp = Callable[[Sequence[UUID]], Mapping[UUID, str]]

_look_ups: list[LookUp] = []


def add_look_up(look_up: LookUp) -> None:
    """`look_up` is given ids of events and returns the names of webhooks, for those that have one."""
    _look_ups.append(look_up)


def webhooks_of(event_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return the name of the webhook of each event that came in by one."""
    found: dict[UUID, str] = {}
    if event_ids:
        for look_up in _look_ups:
            found |= look_up(event_ids)
    return found
