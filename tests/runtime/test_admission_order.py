"""With fewer worker slots than admitted tasks, keys take turns: from trigger to worker."""

from __future__ import annotations

from collections import deque
from uuid import UUID

import pytest

from engine.domain.definition import Concurrency, StepDefinition, WorkflowDefinition
from engine.runtime.engine import HatchetEngine
from engine.states import ConcurrencyStrategy
from engine.types import Action
from tests.runtime.harness import FakeWorker, until
from tests.runtime.test_concurrency import trigger

ROUND_ROBIN = ConcurrencyStrategy.GROUP_ROUND_ROBIN


def of_key(max_runs: int) -> Concurrency:
    return Concurrency("input.key", max_runs, ROUND_ROBIN)


def limited(*chain: Concurrency) -> WorkflowDefinition:
    return WorkflowDefinition("work", (StepDefinition("run", "work:run", concurrency=chain),))


@pytest.mark.parametrize(
    ("definition", "slots"),
    [
        (limited(of_key(2)), 2),
        (limited(of_key(1)), 1),
        (limited(of_key(2), Concurrency("'all'", 2, ROUND_ROBIN)), 5),
    ],
    ids=["few slots", "one slot", "a stacked limit"],
)
async def test_a_long_backlog_of_one_key_does_not_push_another_key_back(
    definition: WorkflowDefinition, slots: int, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, definition)
    worker = await FakeWorker.connect(engine, tenant_id, slots=slots)
    key_of = await _trigger_both(engine, tenant_id)
    running = deque([await worker.next_start() for _ in range(min(slots, 2))])
    assert (await _first_starts(worker, running, key_of)).count("b") == 5


async def _trigger_both(engine: HatchetEngine, tenant_id: UUID) -> dict[UUID, str]:
    runs = dict.fromkeys(await trigger(engine, tenant_id, "a", 20), "a")
    return runs | dict.fromkeys(await trigger(engine, tenant_id, "b", 5), "b")


async def _first_starts(worker: FakeWorker, running: deque[Action], key_of: dict[UUID, str]) -> str:
    """Return the keys of those that run and of the next fourteen, each started when the eldest has ended."""
    order = "".join(key_of[action.run_id] for action in running)
    for _ in range(14):
        await worker.complete(running.popleft())
        running.append(await worker.next_start())
        order += key_of[running[-1].run_id]
    return order


async def test_keys_take_turns_under_a_new_owner(engine: HatchetEngine, tenant_id: UUID) -> None:
    await engine.put_workflow(tenant_id, limited(of_key(2)))
    worker = await FakeWorker.connect(engine, tenant_id, slots=2)
    key_of = await _trigger_both(engine, tenant_id)
    running = deque([await worker.next_start(), await worker.next_start()])
    owner = engine.ownership.owners[tenant_id]
    engine.ownership.invalidate_all()
    await until(lambda: owner.is_ready or tenant_id in engine.ownership.owners)
    assert (await _first_starts(worker, running, key_of)).count("b") == 5
