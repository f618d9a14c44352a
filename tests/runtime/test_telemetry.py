"""What an engine does is told as events, after it was committed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.errors import LostRace
from engine.models import Cron
from engine.operations.pause_workflows import Pause, pause_workflow
from engine.runtime.controllers.lost_workers import LostWorkers
from engine.runtime.engine import HatchetEngine
from engine.runtime.loops.outages import wait_out
from engine.runtime.writers import reports
from engine.store.hints import Hint
from engine.types import ReportKind, TriggerRequest
from tests.recorder import Recorder
from tests.runtime.harness import (
    FakeWorker,
    break_once,
    engine_on,
    result_of,
    trigger,
    with_django,
    workflow,
)


@pytest.fixture
async def worker(engine: HatchetEngine, tenant_id: UUID, recorder: Recorder) -> FakeWorker:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    await engine.put_workflow(tenant_id, workflow(retries=1))
    return await FakeWorker.connect(engine, tenant_id)


async def test_the_life_of_a_run_that_is_completed(
    engine: HatchetEngine, tenant_id: UUID, worker: FakeWorker, recorder: Recorder
) -> None:
    run_ids = await trigger(engine, tenant_id, 3)
    assigned = await recorder.wait_for("tasks.assigned", tenant_id=tenant_id)
    triggered = await recorder.wait_for("runs.triggered", tenant_id=tenant_id)
    for told, ids in ((assigned, "task_ids"), (triggered, "run_ids")):
        assert (told.measurements["count"], told.metadata[ids]) == (3, run_ids)
    for run_id in run_ids:
        action = await worker.next_start()
        await worker.report(action, ReportKind.STARTED)
        await recorder.wait_for("tasks.started", tenant_id=tenant_id, task_id=run_id)
        await worker.complete(action)
        await recorder.wait_for("tasks.completed", tenant_id=tenant_id, task_id=run_id)
        await recorder.wait_for("runs.finished", tenant_id=tenant_id, run_id=run_id)
    assert not recorder.named("tasks.failed") + recorder.named("tasks.retried")


async def test_a_task_that_had_to_wait_is_told_of_when_it_is_assigned(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    await engine.put_workflow(tenant_id, workflow())
    (run_id,) = await trigger(engine, tenant_id)
    assert not recorder.named("tasks.assigned", tenant_id=tenant_id)
    worker = await FakeWorker.connect(engine, tenant_id)
    await worker.next_start()
    await recorder.wait_for("tasks.assigned", tenant_id=tenant_id, task_id=run_id)


async def test_an_attempt_that_fails_is_retried_and_then_fails_for_good(
    engine: HatchetEngine, tenant_id: UUID, worker: FakeWorker, recorder: Recorder
) -> None:
    (run_id,) = await trigger(engine, tenant_id)
    await worker.report(await worker.next_start(), ReportKind.FAILED, b"no")
    await recorder.wait_for("tasks.failed", task_id=run_id)
    await recorder.wait_for("tasks.retried", task_id=run_id)
    assert not recorder.named("runs.finished", run_id=run_id)
    await worker.report(await worker.next_start(), ReportKind.FAILED, b"no")
    await recorder.wait_for("tasks.failed", task_id=run_id)
    await recorder.wait_for("runs.finished", run_id=run_id)
    assert not recorder.named("tasks.retried") + recorder.named("tasks.requeued")


async def test_a_cancelled_task(
    engine: HatchetEngine, tenant_id: UUID, worker: FakeWorker, recorder: Recorder
) -> None:
    (run_id,) = await trigger(engine, tenant_id)
    await worker.next_start()
    await engine.cancel(tenant_id, [run_id])
    await recorder.wait_for("tasks.cancelled", tenant_id=tenant_id, task_id=run_id)


@pytest.mark.parametrize(
    ("which", "is_retried"), [("execution_timeout", True), ("schedule_timeout", False)]
)
async def test_a_task_whose_time_is_up(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder, which: str, is_retried: bool
) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    options: dict[str, Any] = {which: "100ms"}
    await engine.put_workflow(tenant_id, workflow(retries=1, **options))
    if is_retried:
        await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    await recorder.wait_for("tasks.timed_out", tenant_id=tenant_id, task_id=run_id)
    assert bool(recorder.take("tasks.retried", task_id=run_id)) is is_retried
    assert not recorder.named("tasks.failed") + recorder.named("tasks.cancelled")


async def test_a_lost_worker_and_what_it_ran(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, worker: FakeWorker, recorder: Recorder
) -> None:
    for name in ("worker.registered", "worker.listening"):
        await recorder.wait_for(name, tenant_id=tenant_id, worker_id=worker.id)
    (run_id,) = await trigger(engine, tenant_id)
    await worker.next_start()
    owner = engine.ownership.owners[tenant_id]
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute(
            "UPDATE engine_worker SET last_heartbeat_at = now() - interval '50 s' WHERE id = %s",
            [worker.id],
        )
    owner.heartbeats[worker.id] = owner.reports_until = 0.0
    await LostWorkers(engine.database, engine.effects, {tenant_id: owner}).tick()
    await recorder.wait_for("worker.lost", tenant_id=tenant_id, worker_id=worker.id)
    await recorder.wait_for("tasks.requeued", tenant_id=tenant_id, task_id=run_id)
    assert not recorder.named("tasks.failed") + recorder.named("tasks.retried")
    await worker.leave()
    await recorder.wait_for("worker.left", worker_id=worker.id)


async def test_leases_are_taken_lost_and_given_up(
    conninfo: str, tenant_id: UUID, recorder: Recorder
) -> None:
    async with engine_on(conninfo) as engine:
        lease = {"tenant_id": tenant_id, "engine_id": engine.id}
        first = await recorder.wait_for("lease.taken", **lease)
        engine.ownership.drop(engine.ownership.owners[tenant_id])
        lost = await recorder.wait_for("lease.lost", **lease)
        again = await recorder.wait_for("lease.taken", **lease)
        assert first.metadata["epoch"] == lost.metadata["epoch"] < again.metadata["epoch"]
        await recorder.wait_for(
            "scheduler.rebuilt", tenant_id=tenant_id, epoch=again.metadata["epoch"]
        )
        assert not recorder.named("lease.given_up")
    await recorder.wait_for("lease.given_up", **lease)


@pytest.fixture
async def crons_end(tenant_id: UUID) -> AsyncIterator[None]:
    """Other tests' engines must not go on firing what this test leaves."""
    yield
    await with_django(lambda: Cron.objects.filter(tenant_id=tenant_id).delete())


@pytest.mark.usefixtures("crons_end")
async def test_crons_and_schedules_that_fire_and_crons_that_do_not(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    step = StepDefinition("run", "work:run")
    definition = WorkflowDefinition("tick", (step,), cron_triggers=("* * * * * *",))
    _, workflow_id = await engine.put_workflow(tenant_id, definition)
    fired = await recorder.wait_for("cron.fired", tenant_id=tenant_id)
    await recorder.wait_for("runs.triggered", tenant_id=tenant_id)
    past = datetime.now(UTC) - timedelta(minutes=1)
    made = await engine.schedule_runs(tenant_id, TriggerRequest("tick"), [past])
    late = await recorder.wait_for(
        "schedule.fired", tenant_id=tenant_id, schedule_id=made.schedules[0][0]
    )
    assert late.measurements["late_seconds"] >= 60
    pause = Pause("DROP", "DROP", 60.0)
    await engine.database.run(pause_workflow(tenant_id, workflow_id, pause, datetime.now(UTC)))
    missed = await recorder.wait_for("cron.missed", cron_id=fired.metadata["cron_id"])
    assert missed.metadata["cause"] == "paused"


async def test_an_outage_that_a_batch_waits_out(
    engine: HatchetEngine,
    tenant_id: UUID,
    worker: FakeWorker,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (run_id,) = await trigger(engine, tenant_id)
    action = await worker.next_start()
    break_once(monkeypatch, reports, "report_tasks")
    await worker.complete(action)
    await result_of(engine, tenant_id, run_id)
    await recorder.wait_for("outage.began", what="reports")
    await recorder.wait_for("database.unreachable", postponed="reports: database")
    await recorder.wait_for("outage.ended", what="reports")
    (failed,) = recorder.named("database.operation", outcome="outage")
    assert failed.metadata["error"] == "OperationalError"
    flushed = await recorder.wait_for("batcher.flushed", batcher="reports")
    assert (flushed.measurements["rows"], flushed.measurements["waiting"]) == (1, 0)


async def test_a_lost_race_is_no_outage(recorder: Recorder) -> None:
    races = [LostRace("another was first")]

    async def work() -> str:
        if races:
            raise races.pop()
        return "done"

    assert await wait_out("reports", work) == "done"
    await recorder.wait_for("race.lost", what="reports")
    assert not recorder.named("outage.began")


async def test_loops_and_the_listener(conninfo: str, tenant_id: UUID, recorder: Recorder) -> None:
    async with engine_on(conninfo) as engine:
        await recorder.wait_for("loop.tick", loop="clock", outcome="done")
        await recorder.wait_for("listener.connected", engine_id=engine.id)
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as session:
            await session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'hatchet-engine-listen' AND datname = current_database()"
            )
        await recorder.wait_for("listener.lost", engine_id=engine.id)
        await recorder.wait_for("listener.connected", engine_id=engine.id)


async def test_hints_between_engines(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    async with engine_on(conninfo) as other:
        await recorder.wait_for("listener.connected", engine_id=engine.id)
        other.notifier.has_peers = True
        other.notifier.hint(Hint(tenant_id, timetable=True))
        await recorder.wait_for("hint.received", tenant_id=tenant_id, sender_id=other.id)
        while not (await recorder.wait_for("hint.sent")).measurements["hints"]:
            pass


async def test_operations_are_told_of_by_their_names(
    engine: HatchetEngine, tenant_id: UUID, worker: FakeWorker, recorder: Recorder
) -> None:
    (run_id,) = await trigger(engine, tenant_id)
    await worker.complete(await worker.next_start())
    await result_of(engine, tenant_id, run_id)
    for operation in ("report_tasks", "register_worker", "load_snapshot"):
        done = await recorder.wait_for("database.operation", operation=operation)
        assert done.metadata["outcome"] == "committed"
        assert done.measurements["statements"] >= done.measurements["round_trips"] >= 1
