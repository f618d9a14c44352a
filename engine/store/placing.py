"""New attempts that a scheduler may place on workers before they are written.

An operation that is about to queue attempts asks for places (`place`). In the engine that schedules their
tenants the answer comes from memory, and those placed are written as running: they start with the commit
that creates them. Elsewhere nothing is placed, and all of them are queued.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.domain.rate_limits import Taken


@dataclass(frozen=True, slots=True)
class Wanting:
    """What an operation yields to ask for places: attempts about to be written, with their tenants."""

    ready: Sequence[tuple[UUID, ReadyTask]]


class Places(NamedTuple):
    """Where attempts are to run from the start: workers by task, and what is to be written with that.

    `epochs` are the leases it was decided under, by tenant; `taken` the units of rate limits, by task;
    `decisions` what the placer needs to take it back.
    """

    worker_of: Mapping[UUID, UUID]
    epochs: Mapping[UUID, int]
    taken: Mapping[UUID, Sequence[Taken]]
    decisions: Sequence[Any] = ()


NO_PLACES = Places(MappingProxyType({}), MappingProxyType({}), MappingProxyType({}))


class Placer(Protocol):
    """Knows free slots. It is asked within a transaction, answers at once and does no I/O."""

    def place(self, ready: Sequence[tuple[UUID, ReadyTask]]) -> Places:
        """Take slots for as many of these attempts as can run at once."""

    def take_back(self, places: Places, error: BaseException, *, is_unknown: bool) -> None:
        """The transaction that asked has failed: give back what was taken for it.

        `is_unknown` says that it may have committed all the same: its connection broke.
        """
