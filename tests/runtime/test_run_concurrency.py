"""Concurrency of whole runs with several tasks, from trigger to worker, over take-overs as well."""

from __future__ import annotations

from uuid import UUID

from engine.domain.assignment import Claim, GroupId, RunClaims
from engine.domain.definition import Concurrency, StepDefinition, WorkflowDefinition
from engine.runtime.controllers.auditor import Auditor
from engine.runtime.engine import HatchetEngine
from engine.states import ConcurrencyStrategy, Status
from engine.types import ActionKind, TriggerRequest
from tests.runtime.harness import FakeWorker, engine_on, result_of, until


def two_steps(
    strategy: ConcurrencyStrategy = ConcurrencyStrategy.GROUP_ROUND_ROBIN,
) -> WorkflowDefinition:
    steps = (
        StepDefinition("a", "work:run"),
        StepDefinition("b", "work:run", parents=("a",)),
    )
    return WorkflowDefinition("work", steps, concurrency=(Concurrency("input.key", 1, strategy),))


async def trigger(engine: HatchetEngine, tenant_id: UUID, count: int = 1) -> list[UUID]:
    return await engine.trigger_runs(
        tenant_id, [TriggerRequest("work", input=b'{"key":"k"}')] * count
    )


async def status_of(engine: HatchetEngine, tenant_id: UUID, run_id: UUID) -> Status:
    await result_of(engine, tenant_id, run_id)
    return (await engine.get_run_details(tenant_id, run_id)).status


async def test_runs_go_one_after_another_with_all_their_tasks(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, two_steps())
    worker = await FakeWorker.connect(engine, tenant_id)
    runs = await trigger(engine, tenant_id, 3)
    started = []
    for _ in range(6):
        action = await worker.next_start()
        started.append(action.run_id)
        await worker.complete(action)
    assert started == [runs[0], runs[0], runs[1], runs[1], runs[2], runs[2]]
    assert await status_of(engine, tenant_id, runs[2]) is Status.COMPLETED
    groups = engine.ownership.owners[tenant_id].machine.groups
    await until(lambda: not groups.runs())


async def test_the_newest_run_takes_the_place_of_the_older_in_its_second_step(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, two_steps(ConcurrencyStrategy.CANCEL_IN_PROGRESS))
    worker = await FakeWorker.connect(engine, tenant_id)
    (old,) = await trigger(engine, tenant_id)
    await worker.complete(await worker.next_start())
    running = await worker.next_start()
    assert running.run_id == old
    (new,) = await trigger(engine, tenant_id)
    actions = {action.kind: action for action in [await worker.next(), await worker.next()]}
    assert actions[ActionKind.CANCEL].task_id == running.task_id
    assert actions[ActionKind.START].run_id == new
    assert await status_of(engine, tenant_id, old) is Status.CANCELLED


async def test_a_new_owner_knows_which_runs_have_begun(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    """Also between two steps of a run, when none of its tasks runs."""
    await engine.put_workflow(tenant_id, two_steps())
    worker = await FakeWorker.connect(engine, tenant_id)
    first, second = await trigger(engine, tenant_id, 2)
    action = await worker.next_start()
    assert action.run_id == first
    async with engine_on(conninfo) as other:
        await until(lambda: bool(other.ownership.owners))
    owners = engine.ownership.owners
    await until(lambda: tenant_id in owners and owners[tenant_id].is_ready)
    await until(lambda: len(owners[tenant_id].machine.groups.runs()) == 2)
    await worker.complete(action)
    action = await worker.next_start()
    assert action.run_id == first
    await worker.complete(action)
    assert (await worker.next_start()).run_id == second


async def test_what_another_engine_is_told_frees_the_slot_here(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, two_steps())
    worker = await FakeWorker.connect(engine, tenant_id)
    first, second = await trigger(engine, tenant_id, 2)
    action = await worker.next_start()
    assert action.run_id == first
    async with engine_on(conninfo) as other:
        owner = next(
            each.ownership.owners[tenant_id]
            for each in (engine, other)
            if tenant_id in each.ownership.owners
        )
        bystander = other if engine.ownership.owners.get(tenant_id) is owner else engine
        await until(lambda: owner.is_ready and len(owner.machine.groups.runs()) == 2)
        await bystander.cancel(tenant_id, [first])
        await until(lambda: [run for run, _ in owner.machine.groups.runs()] == [second])


async def test_the_auditor_frees_what_a_run_holds_that_ended_unnoticed(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, two_steps())
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    assert (await worker.next_start()).run_id == run_id
    owners = {tenant_id: engine.ownership.owners[tenant_id]}
    groups = owners[tenant_id].machine.groups
    groups.hold_run(RunClaims(1, (_claim(),), 1, 1))
    auditor = Auditor(engine.database, owners)
    await auditor.tick()
    assert len(groups.runs()) == 2
    await auditor.tick()
    assert [found for found, _ in groups.runs()] == [run_id]


def _claim() -> Claim:
    return Claim(GroupId(UUID(int=1), -1, 0, "k"), 1, ConcurrencyStrategy.GROUP_ROUND_ROBIN)
