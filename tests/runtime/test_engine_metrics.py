"""An engine tells Prometheus what it does and how it is, and what boards and alerts ask for is there."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from engine.api.exposition import exposition
from engine.api.prometheus import families_of
from engine.management import engine_metrics
from engine.management.engine_metrics import EngineState, watch_engine
from engine.metrics.process import ProcessMetrics
from engine.metrics_config import MetricsConfig
from engine.operations.count_events import count_events
from engine.runtime.controllers.figures import Figures
from engine.runtime.engine import HatchetEngine
from engine.runtime.loops.ending import end_tasks
from engine.states import TenantMetric
from engine.store import figures
from tests.metrics import names_asked_for, names_told, samples_in, scrape
from tests.recorder import Recorder
from tests.runtime.harness import PATIENCE_SECONDS, FakeWorker, trigger, with_django, workflow


@pytest.fixture
async def port(engine: HatchetEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Where the engine of the test is asked."""
    made: list[ProcessMetrics] = []

    class Kept(ProcessMetrics):
        def __init__(self, kind: str) -> None:
            super().__init__(kind)
            made.append(self)

    monkeypatch.setattr(engine_metrics, "ProcessMetrics", Kept)
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    config = MetricsConfig(is_enabled=True, host="127.0.0.1", port=number, path="/metrics")
    watches = watch_engine(config, engine)
    yield number
    made[0].detach()
    await end_tasks(watches)


async def asked(port: int) -> str:
    return await asyncio.to_thread(scrape, port)


async def totals_of(engine: HatchetEngine, tenant_id: UUID) -> dict[TenantMetric, float]:
    rows = await engine.database.fetch(figures.totals(tenant_id))
    return {TenantMetric(row.metric): row.value for row in rows if row.bucket == 0}


async def unacknowledged_told(engine: HatchetEngine, port: int) -> None:
    """Wait until the metric says what the schedulers have."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            told = samples_in(await asked(port))["hatchet_unacknowledged_assignments",]
            owners = engine.ownership.owners.values()
            if told == sum(len(owner.unacknowledged) for owner in owners):
                return


async def test_a_run_is_seen_in_the_metrics_of_engine_and_tenant(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder, port: int
) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    await trigger(engine, tenant_id, 2)
    first, second = await worker.next_start(), await worker.next_start()
    before = samples_in(await asked(port))
    # The engine has the tenants of other tests as well.
    assert before["hatchet_unacknowledged_assignments",] >= 2
    assert before["hatchet_connected_workers",] == 1
    assert before["hatchet_scheduler_running_tasks",] >= 2
    for action in (first, second):
        await worker.complete(action)
    await recorder.wait_for("runs.finished", tenant_id=tenant_id, run_id=second.task_id)
    counting = Figures(engine.database, engine.ownership.owners, timedelta(0))
    counting.interval_seconds = 0.0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await totals_of(engine, tenant_id)).get(TenantMetric.SUCCEEDED) != 2:
            await counting.tick()
    after = samples_in(await asked(port))
    assert after["hatchet_succeeded_tasks_total",] >= 2
    assert after["hatchet_queued_to_assigned_seconds_count",] >= 2
    assert after["hatchet_queue_invocations_total",] >= 1
    assert (await totals_of(engine, tenant_id))[TenantMetric.QUEUE_INVOCATIONS] >= 1
    assert not engine.ownership.owners[tenant_id].unacknowledged
    await unacknowledged_told(engine, port)
    assert after["hatchet_batch_rows_count", "reports"] >= 1
    assert after["hatchet_database_operation_seconds_count", "committed"] >= 3
    assert after["hatchet_database_pool_size",] >= 1


async def test_tables_and_the_oldest_in_a_queue_are_told(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder, port: int
) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id)
    process = ProcessMetrics("engine")
    watch = engine_metrics.TableWatch(engine, process.registry)
    await watch.tick()
    (oldest,) = await engine.database.fetch(figures.oldest_queued([tenant_id]))
    assert oldest is not None
    (nothing,) = await engine.database.fetch(figures.oldest_queued([engine.id]))
    assert nothing is None
    sizes = {row.name: row.bytes for row in await engine.database.fetch(figures.table_sizes())}
    assert sizes["engine_task"] > 0
    assert not any(name.endswith("_default") for name in sizes)
    assert (process.registry.get_sample_value("hatchet_oldest_queued_seconds") or 0) > 0


async def test_what_boards_and_alerts_ask_for_is_told(tenant_id: UUID, port: int) -> None:
    of_tenant = await with_django(lambda: exposition(families_of(tenant_id)))
    told = names_told(await asked(port)) | names_told(of_tenant)
    wanted = names_asked_for()
    assert len(wanted) > 40
    assert {name: where for name, where in wanted.items() if name not in told} == {}


async def test_while_one_counts_another_leaves_it_alone(
    engine: HatchetEngine, conninfo: str
) -> None:
    """It has nothing to wait for: who counts does it for all."""
    async with await psycopg.AsyncConnection.connect(conninfo) as other:
        await other.execute("SELECT FROM engine_figuresposition FOR UPDATE")
        operation = count_events(datetime.now(UTC), at_least=timedelta(milliseconds=1))
        assert await engine.database.run(operation) is None
        await other.rollback()


async def test_a_loop_that_does_not_answer_leaves_out_what_it_knows(
    engine: HatchetEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_metrics, "_ANSWER_SECONDS", 0.01)
    state = EngineState(engine, asyncio.get_running_loop())
    names: list[str] = []
    asking = threading.Thread(
        target=lambda: names.extend(family.name for family in state.collect())
    )
    asking.start()
    asking.join()  # meanwhile the loop stands still
    assert "hatchet_database_pool_size" in names
    assert "hatchet_scheduled_tenants" not in names
