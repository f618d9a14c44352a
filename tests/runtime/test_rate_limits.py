"""Rate limits from trigger to worker: waiting, refills without polling, pauses, restarts and take-overs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

import psycopg
import pytest

from engine.domain.definition import RateLimit, StepDefinition, WorkflowDefinition
from engine.operations.change_rate_limits import delete_rate_limit
from engine.runtime.engine import HatchetEngine
from engine.runtime.scheduler.owner import TenantOwner
from engine.states import RateLimitWindow, Status, TaskEventKind
from engine.types import Action, ReportKind, TriggerRequest
from tests.runtime.harness import (
    FakeWorker,
    engine_on,
    result_of,
    settled,
    until,
    workflow,
)

HOUR, SECOND = RateLimitWindow.HOUR, RateLimitWindow.SECOND
API = RateLimit("api")
PER_USER = RateLimit(key_expression="input.user", limit_expression="1", window=HOUR)


def limited(*limits: RateLimit, **options: object) -> WorkflowDefinition:
    step = StepDefinition("run", "work:run", rate_limits=limits or (API,), **options)  # type: ignore[arg-type]  # free options
    return WorkflowDefinition("work", (step,))


async def trigger(
    engine: HatchetEngine, tenant_id: UUID, count: int = 1, *, user: str = "ada"
) -> list[UUID]:
    request = TriggerRequest("work", input=b'{"user":"%s"}' % user.encode())
    return await engine.trigger_runs(tenant_id, [request] * count)


def owner_of(engine: HatchetEngine, tenant_id: UUID) -> TenantOwner:
    return engine.ownership.owners[tenant_id]


async def parked(engine: HatchetEngine, tenant_id: UUID, count: int) -> None:
    await until(lambda: owner_of(engine, tenant_id).machine.limits.parked_count() == count)


async def told(engine: HatchetEngine, task_id: UUID) -> list[str]:
    """What the log says of the task's waiting, once it says something."""
    found: list[str] = []
    async with await psycopg.AsyncConnection.connect(engine.database.conninfo) as connection:
        async with asyncio.timeout(20):
            while not found:
                await engine.notes.tick()
                cursor = await connection.execute(
                    "SELECT message FROM engine_taskevent WHERE run_id = %s AND kind = %s",
                    [task_id, int(TaskEventKind.REQUEUED_RATE_LIMIT)],
                )
                found = [message for (message,) in await cursor.fetchall()]
                await connection.commit()
    return found


async def test_no_more_start_than_the_limit_and_the_others_go_on(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_rate_limit(tenant_id, "api", 2, HOUR)
    await engine.put_workflow(tenant_id, limited())
    await engine.put_workflow(tenant_id, workflow("free"))
    worker = await FakeWorker.connect(engine, tenant_id, "work:run", "free:run")
    first, second, third = await trigger(engine, tenant_id, 3)
    assert {(await worker.next_start()).task_id for _ in range(2)} == {first, second}
    await parked(engine, tenant_id, 1)
    (free,) = await engine.trigger_runs(tenant_id, [TriggerRequest("free")])
    assert (await worker.next_start()).task_id == free
    assert await told(engine, third) == ['Rate limit "api": 1 wanted, 0 of 2 left in this hour.']
    await engine.cancel(tenant_id, [third])
    await parked(engine, tenant_id, 0)


async def test_the_next_window_starts_who_waits_without_a_poll(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_rate_limit(tenant_id, "api", 1, SECOND)
    await engine.put_workflow(tenant_id, limited())
    worker = await FakeWorker.connect(engine, tenant_id)
    began = monotonic()
    ids = await trigger(engine, tenant_id, 3)
    started = [(await worker.next_start()).task_id for _ in range(3)]
    assert started == ids
    assert monotonic() - began > 1.0  # the first window began when the limit was set


async def test_a_limit_nobody_has_set_is_waited_for(engine: HatchetEngine, tenant_id: UUID) -> None:
    await engine.put_workflow(tenant_id, limited())
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    assert await told(engine, run_id) == ['Rate limit "api" has not been set.']
    await engine.put_rate_limit(tenant_id, "api", 1, HOUR)
    assert (await worker.next_start()).task_id == run_id


async def test_a_paused_limit_gives_nothing_until_then(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_rate_limit(tenant_id, "api", 9, HOUR)
    await engine.put_workflow(tenant_id, limited())
    worker = await FakeWorker.connect(engine, tenant_id)
    until_then = datetime.now(UTC) + timedelta(seconds=4)
    assert await engine.pause_rate_limit(tenant_id, "api", until_then) == until_then
    sooner = await engine.pause_rate_limit(tenant_id, "api", datetime.now(UTC))
    assert sooner == until_then
    limits = owner_of(engine, tenant_id).machine.limits
    await until(lambda: (s := limits.state("api")) is not None and s.paused_until is not None)
    (run_id,) = await trigger(engine, tenant_id)
    action = await worker.next_start()
    assert (action.task_id, datetime.now(UTC) >= until_then) == (run_id, True)


async def test_a_deleted_limit_is_missing_from_then_on(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_rate_limit(tenant_id, "api", 9, HOUR)
    await engine.put_workflow(tenant_id, limited())
    await FakeWorker.connect(engine, tenant_id)
    limits = owner_of(engine, tenant_id).machine.limits
    await until(lambda: limits.state("api") is not None)
    await engine.database.run(delete_rate_limit(tenant_id, "api"))
    await until(lambda: limits.state("api") is None)
    await trigger(engine, tenant_id)
    await parked(engine, tenant_id, 1)


async def test_every_user_has_a_limit_of_their_own(engine: HatchetEngine, tenant_id: UUID) -> None:
    await engine.put_workflow(tenant_id, limited(PER_USER))
    worker = await FakeWorker.connect(engine, tenant_id)
    ada, waiting = await trigger(engine, tenant_id, 2)
    (bob,) = await trigger(engine, tenant_id, user="bob")
    assert {(await worker.next_start()).task_id for _ in range(2)} == {ada, bob}
    await parked(engine, tenant_id, 1)
    assert waiting not in {ada, bob}


async def test_a_retry_takes_units_again(engine: HatchetEngine, tenant_id: UUID) -> None:
    await engine.put_rate_limit(tenant_id, "api", 2, HOUR)
    await engine.put_workflow(tenant_id, limited(retries=5))
    worker = await FakeWorker.connect(engine, tenant_id)
    await trigger(engine, tenant_id)
    for attempt in range(2):
        action = await worker.next_start()
        assert action.retry_count == attempt
        await worker.report(action, ReportKind.FAILED, b"no")
    await parked(engine, tenant_id, 1)


async def test_a_bad_expression_fails_the_task_and_not_the_call(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited(RateLimit(key_expression="input.user + input.no")))
    (run_id,) = await trigger(engine, tenant_id)
    finished = await result_of(engine, tenant_id, run_id)
    assert finished.results[0].status is Status.FAILED
    assert "failed to parse step expression" in (finished.results[0].error or "")


@pytest.mark.parametrize("limit", [API, PER_USER])
async def test_a_restarted_engine_gives_out_no_more(
    limit: RateLimit, conninfo: str, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as engine:
        await engine.put_rate_limit(tenant_id, "api", 1, HOUR)
        await engine.put_workflow(tenant_id, limited(limit))
        worker = await FakeWorker.connect(engine, tenant_id)
        await trigger(engine, tenant_id, 3)
        await worker.complete(await worker.next_start())
        await parked(engine, tenant_id, 2)
    async with engine_on(conninfo) as engine:
        worker = await FakeWorker.connect(engine, tenant_id, worker_id=worker.id)
        await parked(engine, tenant_id, 2)


async def test_a_new_owner_goes_on_where_the_one_before_was_and_says_nothing_twice(
    conninfo: str, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as heir:
        leaving = HatchetEngine(conninfo)
        await leaving.start()
        owner, other = await settled(tenant_id, heir, leaving)
        await owner.put_rate_limit(tenant_id, "api", 1, HOUR)
        await owner.put_workflow(tenant_id, limited())
        worker = await FakeWorker.connect(heir, tenant_id)
        first, second = await trigger(other, tenant_id, 2)
        assert (await worker.next_start()).task_id == first
        await parked(owner, tenant_id, 1)
        before = await told(owner, second)
        leaving.stop_scheduling()
        await leaving.stop()
        await until(lambda: tenant_id in heir.ownership.owners)
        await until(lambda: owner_of(heir, tenant_id).is_ready)
        await worker.beat()
        await parked(heir, tenant_id, 1)
        await heir.notes.tick()
        assert await told(heir, second) == before


async def test_offered_tasks_and_waiting_ones_share_one_window(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    """Whatever way tasks come in, together they get what the window holds."""
    await engine.put_rate_limit(tenant_id, "api", 10, HOUR)
    await engine.put_workflow(tenant_id, limited())
    worker = await FakeWorker.connect(engine, tenant_id, slots=3)
    calls = [trigger(engine, tenant_id, 3) for _ in range(10)]
    await asyncio.gather(*calls)
    ended: list[Action] = []
    while len(ended) < 10:
        action = await worker.next_start()
        await worker.complete(action)
        ended.append(action)
    await parked(engine, tenant_id, 20)
    assert len({action.task_id for action in ended}) == 10
