"""What a tenant may have only so much of, if this installation enforces limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

MOST = 10**15
LIMIT_REACHED = "HT003"
"""The SQLSTATE with which the database refuses what goes beyond a limit."""


class Resource(StrEnum):
    """Names are those of the REST API, but for the last one, which its contract does not know."""

    TASK_RUN = "TASK_RUN"
    EVENT = "EVENT"
    WORKER = "WORKER"
    WORKER_SLOT = "WORKER_SLOT"
    CRON = "CRON"
    SCHEDULE = "SCHEDULE"
    INCOMING_WEBHOOK = "INCOMING_WEBHOOK"
    API_TOKEN = "API_TOKEN"

    @property
    def is_in_contract(self) -> bool:
        return self is not Resource.API_TOKEN


@dataclass(frozen=True, slots=True)
class Limit:
    """So many within a window, or at a time where there is none; people are told from `alarm` on."""

    value: int
    alarm: int
    window_seconds: int | None = None


class LimitReached(Exception):
    """A tenant has as much of something as it may have; nothing was done."""


NO_LIMITS: Mapping[Resource, Limit] = MappingProxyType({})
