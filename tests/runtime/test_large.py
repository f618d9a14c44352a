"""Large things work whole: graphs of 500 tasks, events of a megabyte, 10,000 children of one task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.operations.parts.versions import load_versions
from engine.runtime.engine import HatchetEngine
from engine.states import Status
from engine.types import Action, EventInput, TriggerRequest
from tests.runtime.harness import FakeWorker, result_of

CHILDREN, CHUNK = 10_000, 1_000


def fan(count: int) -> tuple[StepDefinition, ...]:
    """One task, all the others but one after it, and one after all of those."""
    middle = tuple(StepDefinition(f"m{n}", "work:run", parents=("a",)) for n in range(count - 2))
    last = StepDefinition("z", "work:run", parents=tuple(step.readable_id for step in middle))
    return (StepDefinition("a", "work:run"), *middle, last)


def layers(count: int, width: int = 20) -> tuple[StepDefinition, ...]:
    """Layers of tasks, each of which waits for the whole layer before."""
    names = [[f"l{n}-{m}" for m in range(width)] for n in range(count // width)]
    return tuple(
        StepDefinition(name, "work:run", parents=tuple(before))
        for before, layer in zip([[], *names], names, strict=False)
        for name in layer
    )


class Steady:
    """Completes whatever a worker is sent, many at a time."""

    def __init__(self, worker: FakeWorker) -> None:
        self.worker = worker
        self.done: list[Action] = []
        self._reports: set[asyncio.Task[None]] = set()

    async def work(self, count: int) -> None:
        for _ in range(count):
            action = await self.worker.next_start()
            self.done.append(action)
            report = asyncio.create_task(self.worker.complete(action, b'{"n":1}'))
            self._reports.add(report)
            report.add_done_callback(self._reports.discard)
        await asyncio.gather(*self._reports)


@pytest.mark.parametrize("shape", [fan, layers])
async def test_a_graph_of_500_tasks_runs_in_its_order(
    shape: Callable[[int], tuple[StepDefinition, ...]], engine: HatchetEngine, tenant_id: UUID
) -> None:
    definition = WorkflowDefinition("work", shape(500))
    version_id, _ = await engine.put_workflow(tenant_id, definition)
    assert (await engine.put_workflow(tenant_id, definition))[0] == version_id
    worker = Steady(await FakeWorker.connect(engine, tenant_id, slots=50))
    (run_id,) = await engine.trigger_runs(tenant_id, [TriggerRequest("work")])
    await worker.work(500)
    assert len((await result_of(engine, tenant_id, run_id)).results) == 500
    version = (await engine.database.run(load_versions([version_id])))[version_id]
    name_of = {step.id: step.definition.readable_id for step in version.steps}
    started: set[str] = set()
    parents = {step.readable_id: step.parents for step in definition.steps}
    for action in worker.done:
        name = name_of[action.step_id]
        assert started.issuperset(parents[name])
        started.add(name)


async def test_an_event_of_a_megabyte_reaches_its_task_whole(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    step = StepDefinition("run", "work:run")
    await engine.put_workflow(tenant_id, WorkflowDefinition("work", (step,), event_triggers=("k",)))
    worker = await FakeWorker.connect(engine, tenant_id)
    payload = b'{"data":"%s"}' % (b"x" * 1_000_000)
    await engine.push_events(tenant_id, [EventInput("k", payload)] * 3)
    for _ in range(3):
        action = await worker.next_start()
        assert action.payload.startswith(b'{"input":' + payload + b",")


async def test_ten_thousand_children_answer_their_parent(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    steps = {name: (StepDefinition("run", f"{name}:run"),) for name in ("parent", "child")}
    for name, listed in steps.items():
        await engine.put_workflow(tenant_id, WorkflowDefinition(name, listed))
    parent_worker = await FakeWorker.connect(engine, tenant_id, "parent:run")
    child_worker = await FakeWorker.connect(engine, tenant_id, "child:run", slots=500)
    beats = asyncio.create_task(_beat(parent_worker, child_worker))
    await engine.trigger_runs(tenant_id, [TriggerRequest("parent")])
    parent = await parent_worker.next_start()
    work = asyncio.create_task(Steady(child_worker).work(CHILDREN))
    subscription = engine.subscribe_runs(tenant_id)
    spawned: list[UUID] = []
    for start in range(0, CHILDREN, CHUNK):
        requests = [
            TriggerRequest(
                "child",
                parent_run_id=parent.run_id,
                parent_task_id=parent.task_id,
                child_index=start + n,
            )
            for n in range(CHUNK)
        ]
        chunk = await engine.trigger_runs(tenant_id, requests)
        assert await engine.trigger_runs(tenant_id, requests[:2]) == chunk[:2]
        spawned += chunk
        for run_id in chunk:
            subscription.add(run_id)
    answered = set()
    async for finished in subscription:
        (result,) = finished.results
        assert result.status is Status.COMPLETED
        answered.add(finished.run_id)
        if len(answered) == CHILDREN:
            break
    assert answered == set(spawned)
    subscription.close()
    await work
    await parent_worker.complete(parent)
    assert (await result_of(engine, tenant_id, parent.run_id)).results[0].output == b"{}"
    beats.cancel()


async def _beat(*workers: FakeWorker) -> None:
    while True:
        for worker in workers:
            await worker.beat()
        await asyncio.sleep(1.0)
