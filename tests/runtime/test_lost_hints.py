"""A hint that is lost costs time, never work: slow polls find what it would have said."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.trigger_runs import trigger_runs
from engine.runtime.controllers import auditor
from engine.runtime.controllers.slow_poll import SlowPoll
from engine.runtime.engine import HatchetEngine
from engine.runtime.hints.reader import HintReader
from engine.states import Status
from engine.types import StreamEventKind, TriggerRequest
from tests.recorder import Recorder
from tests.runtime.harness import (
    FakeWorker,
    elsewhere,
    engine_on,
    result_of,
    settled,
    trigger,
    until,
    workflow,
)


@pytest.fixture(autouse=True)
def no_hint_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HintReader, "receive", lambda _self, _payload: None)
    monkeypatch.setattr(SlowPoll, "interval_seconds", 0.3)


async def test_runs_another_process_queued_are_started(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    operation = trigger_runs(tenant_id, [TriggerRequest("work")], datetime.now(UTC))
    (run_id,) = await elsewhere(operation)
    action = await worker.next_start()
    assert action.run_id == run_id


async def test_subscribers_hear_of_runs_another_process_ended(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    (run_id,) = await trigger(engine, tenant_id)
    waiting = asyncio.create_task(result_of(engine, tenant_id, run_id))
    await until(lambda: engine.effects.subscriptions.awaits(tenant_id, run_id))
    await elsewhere(cancel_tasks(tenant_id, [run_id], datetime.now(UTC)))
    finished = await waiting
    assert [result.status for result in finished.results] == [Status.CANCELLED]


async def test_followers_hear_of_runs_another_process_ended(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    (run_id,) = await trigger(engine, tenant_id)
    events = await engine.stream_run_events(tenant_id, run_id)
    await elsewhere(cancel_tasks(tenant_id, [run_id], datetime.now(UTC)))
    async with asyncio.timeout(20):
        heard = [event async for event in events]
    assert heard[-1].hangup and heard[-1].kind is StreamEventKind.CANCELLED


async def test_two_engines_work_together_without_hints(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    """The worker listens and beats at one engine, the other schedules, a client waits at either."""
    async with engine_on(conninfo) as second:
        owner, stranger = await settled(tenant_id, engine, second)
        await owner.put_workflow(tenant_id, workflow())
        worker = await FakeWorker.connect(stranger, tenant_id)
        (first,) = await trigger(owner, tenant_id)
        (second_run,) = await trigger(stranger, tenant_id)
        waiting = asyncio.create_task(result_of(owner, tenant_id, first))
        for _ in range(2):
            await worker.complete(await worker.next_start())
        assert (await waiting).run_id == first
        assert (await result_of(stranger, tenant_id, second_run)).run_id == second_run


async def test_a_slot_whose_end_was_told_while_nobody_listened_is_freed(
    conninfo: str,
    engine: HatchetEngine,
    tenant_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auditor, "_SECOND_LOOK_SECONDS", 0.3)
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    first_id, second_id = await trigger(engine, tenant_id, 2)
    assert (await worker.next_start()).task_id == first_id
    await elsewhere(cancel_tasks(tenant_id, [first_id], datetime.now(UTC)))
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'hatchet-engine-listen'"
        )
    assert (await worker.next_start()).task_id == second_id


async def test_a_worker_unheard_of_for_long_is_forgotten_and_welcome_again(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    owner = engine.ownership.owners[tenant_id]
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    assert worker.id in owner.machine.workers.ids()
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute(
            "UPDATE engine_worker SET last_heartbeat_at = now() - interval '5 minutes',"
            " created_at = now() - interval '5 minutes' WHERE id = %s",
            [worker.id],
        )
    await until(lambda: worker.id not in owner.machine.workers.ids())
    await worker.beat()
    await until(lambda: worker.id in owner.machine.workers.ids())
    await trigger(engine, tenant_id)
    await worker.next_start()
