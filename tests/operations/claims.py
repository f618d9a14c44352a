"""Workflows with concurrency, and what their tasks ask for."""

from __future__ import annotations

from typing import Any

from engine.domain.assignment import Claims, ReadyTask
from engine.domain.definition import Concurrency
from engine.operations.rebuild_scheduler import (
    load_in_groups,
)
from engine.states import ConcurrencyStrategy
from engine.store import sync_db
from engine.store.queues import FIRST_PLACE, QueuePlace
from engine.types import TriggerRequest
from tests.operations.bench import Bench

ROUND_ROBIN = ConcurrencyStrategy.GROUP_ROUND_ROBIN


def limited(expression: str = "input.user", max_runs: int = 1) -> Concurrency:
    return Concurrency(expression, max_runs, ROUND_ROBIN)


def request(data: bytes = b'{"user":"ada"}', **options: Any) -> TriggerRequest:
    return TriggerRequest("flow", input=data, **options)


def claims(bench: Bench) -> list[Claims]:
    """What the tasks that the last operation queued ask for."""
    found = [task.claims for _, task in bench.changes.ready]
    return [each for each in found if each is not None]


def keys(bench: Bench) -> list[list[str]]:
    return [[claim.group.key for claim in each.chain] for each in claims(bench)]


def queued(bench: Bench) -> list[ReadyTask]:
    """Who waits in groups, read two at a time."""
    found: list[ReadyTask] = []
    place: QueuePlace | None = FIRST_PLACE
    while place is not None:
        part, place = sync_db.run(load_in_groups(bench.tenant_id, place, 2))
        found += part
    return found
