"""Batches from trigger to worker and back, over take-overs and lost workers as well."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest

from engine.domain.definition import Batch, Concurrency, StepDefinition, WorkflowDefinition
from engine.operations.assign_tasks import load_undelivered
from engine.operations.pause_workflows import Pause, pause_workflow, unpause_workflow
from engine.operations.trigger_runs import trigger_runs
from engine.runtime.engine import HatchetEngine
from engine.states import ConcurrencyStrategy, Status, TaskEventKind
from engine.types import Action, ActionKind, ReportKind, TaskReport, TriggerRequest
from tests.runtime.harness import FakeWorker, elsewhere, engine_on, result_of, until

HOUR_MS = 3_600_000


def batched(max_size: int = 3, **options: Any) -> WorkflowDefinition:
    names = ("max_interval_ms", "group_key", "group_max_runs")
    settings = {name: options.pop(name) for name in names if name in options}
    batch = Batch(max_size, **{"max_interval_ms": HOUR_MS, **settings})
    return WorkflowDefinition("work", (StepDefinition("run", "work:run", batch=batch, **options),))


async def trigger(
    engine: HatchetEngine, tenant_id: UUID, *inputs: dict[str, Any], **options: Any
) -> list[UUID]:
    requests = [TriggerRequest("work", orjson.dumps(given), **options) for given in inputs]
    return await engine.trigger_runs(tenant_id, requests)


async def put(engine: HatchetEngine, tenant_id: UUID, definition: WorkflowDefinition) -> None:
    """Register a workflow, and wait until its tasks are scheduled in the order in which they come."""
    await engine.put_workflow(tenant_id, definition)
    await until(lambda: _waits(engine, tenant_id) == 0)


async def next_batch(worker: FakeWorker) -> Action:
    action = await worker.next()
    assert action.kind is ActionKind.START_BATCH
    return action


def members(action: Action) -> list[UUID]:
    return [item.task_id for item in action.items]


async def report(
    worker: FakeWorker,
    batch: Action,
    kind: ReportKind,
    *task_ids: UUID,
    payload: bytes = b"",
    **options: Any,
) -> None:
    await worker.engine.report_batch(
        [
            TaskReport(
                worker.tenant_id, task_id, kind, payload=payload, batch_id=batch.task_id, **options
            )
            for task_id in task_ids or members(batch)
        ]
    )


async def status_of(engine: HatchetEngine, tenant_id: UUID, run_id: UUID) -> Status:
    await result_of(engine, tenant_id, run_id)
    return (await engine.get_run_details(tenant_id, run_id)).status


async def test_a_full_batch_goes_to_one_worker_as_one_action_over_one_slot(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, batched())
    worker = await FakeWorker.connect(engine, tenant_id, slots=2)
    runs = await trigger(engine, tenant_id, {"n": 1}, {"n": 2})
    runs += await trigger(engine, tenant_id, {"n": 3}, {"n": 4})
    batch = await next_batch(worker)
    assert members(batch) == runs[:3]
    payload = orjson.loads(batch.payload)
    assert list(payload) == [str(run_id) for run_id in runs[:3]]
    assert [item["payload"]["input"]["n"] for item in payload.values()] == [1, 2, 3]
    assert [item["workflow_run_id"] for item in payload.values()] == list(payload)
    assert batch.batch is not None
    assert (batch.batch.reason, batch.batch.key) == ("size", "")
    machine = engine.ownership.owners[tenant_id].machine
    assert machine.workers.free_slots(worker.id) == {"default": 1}
    await report(worker, batch, ReportKind.STARTED)
    for run_id in runs[:3]:
        assert machine.workers.free_slots(worker.id) == {"default": 1}
        await report(worker, batch, ReportKind.COMPLETED, run_id, payload=b'{"ok":1}')
        assert await status_of(engine, tenant_id, run_id) is Status.COMPLETED
    assert machine.workers.free_slots(worker.id) == {"default": 2}
    assert (await engine.get_run_details(tenant_id, runs[3])).status is Status.QUEUED


async def test_what_is_there_goes_when_the_interval_is_over(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, batched(max_interval_ms=200))
    worker = await FakeWorker.connect(engine, tenant_id)
    runs = await trigger(engine, tenant_id, {}, {})
    batch = await next_batch(worker)
    assert members(batch) == runs
    assert batch.batch is not None
    assert batch.batch.reason == "interval"


async def test_groups_do_not_mix_and_run_only_so_many_batches(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    definition = batched(2, group_key=" input.key ", group_max_runs=1)
    await put(engine, tenant_id, definition)
    worker = await FakeWorker.connect(engine, tenant_id)
    a, b = {"key": "a"}, {"key": " b "}
    runs = await trigger(engine, tenant_id, a, b, a, b, a, a)
    first, second = await next_batch(worker), await next_batch(worker)
    found = {batch.batch.key: members(batch) for batch in (first, second) if batch.batch}
    assert found == {"a": [runs[0], runs[2]], "b": [runs[1], runs[3]]}
    of_a = first if first.batch and first.batch.key == "a" else second
    await report(worker, of_a, ReportKind.COMPLETED, payload=b"{}")
    assert members(await next_batch(worker)) == [runs[4], runs[5]]


async def test_a_bad_group_key_fails_its_task_alone(engine: HatchetEngine, tenant_id: UUID) -> None:
    await put(engine, tenant_id, batched(1, group_key="input.key"))
    worker = await FakeWorker.connect(engine, tenant_id)
    bad, good = await trigger(engine, tenant_id, {"key": True}, {"key": "k"})
    finished = await result_of(engine, tenant_id, bad)
    assert finished.results[0].error == (
        "failed to parse batch group key expression (input.key): "
        "expected string output for batch key, got bool"
    )
    assert members(await next_batch(worker)) == [good]


async def test_a_failed_item_waits_for_its_next_batch_alone(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, batched(2, retries=1))
    worker = await FakeWorker.connect(engine, tenant_id)
    first, second = await trigger(engine, tenant_id, {}, {})
    batch = await next_batch(worker)
    await report(worker, batch, ReportKind.FAILED, first, payload=b"boom")
    await report(worker, batch, ReportKind.COMPLETED, second, payload=b"{}")
    (third,) = await trigger(engine, tenant_id, {})
    again = await next_batch(worker)
    assert [(item.task_id, item.retry_count) for item in again.items] == [(first, 1), (third, 0)]
    await report(worker, batch, ReportKind.COMPLETED, first, payload=b'{"late":1}')
    assert (await engine.get_run_details(tenant_id, first)).status is Status.RUNNING
    await report(worker, again, ReportKind.FAILED, first, payload=b"boom")
    assert await status_of(engine, tenant_id, first) is Status.FAILED
    await report(worker, again, ReportKind.COMPLETED, third, payload=b"{}")
    assert await status_of(engine, tenant_id, third) is Status.COMPLETED


async def test_a_cancelled_item_ends_and_the_batch_is_stopped_with_its_last(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, batched(2))
    worker = await FakeWorker.connect(engine, tenant_id)
    (waiting,) = await trigger(engine, tenant_id, {})
    await engine.cancel(tenant_id, [waiting])
    first, second = await trigger(engine, tenant_id, {}, {})
    batch = await next_batch(worker)
    assert members(batch) == [first, second]
    await engine.cancel(tenant_id, [first])
    await report(worker, batch, ReportKind.COMPLETED, first, payload=b"{}")
    assert await status_of(engine, tenant_id, first) is Status.CANCELLED
    await report(worker, batch, ReportKind.CANCELLED, second)
    assert await status_of(engine, tenant_id, second) is Status.CANCELLED
    stop = await worker.next()
    assert (stop.kind, stop.task_id) == (ActionKind.CANCEL, batch.task_id)


async def test_the_timeout_fails_every_item(engine: HatchetEngine, tenant_id: UUID) -> None:
    definition = batched(2, execution_timeout="200ms", execution_timeout_seconds=0.2)
    await put(engine, tenant_id, definition)
    worker = await FakeWorker.connect(engine, tenant_id)
    runs = await trigger(engine, tenant_id, {}, {})
    await next_batch(worker)
    for run_id in runs:
        (task,) = (await result_of(engine, tenant_id, run_id)).results
        assert task.error == "Task exceeded timeout of 200ms, as did its whole batch"


async def test_the_log_tells_of_waiting_and_of_the_batch(
    engine: HatchetEngine, tenant_id: UUID, conninfo: str
) -> None:
    await put(engine, tenant_id, batched(2))
    worker = await FakeWorker.connect(engine, tenant_id)
    runs = await trigger(engine, tenant_id, {}, {})
    await next_batch(worker)
    await engine.notes.tick()
    for run_id in runs:
        logged = await _events_of(conninfo, run_id)
        assert logged[0] == "QUEUED"
        assert sorted(logged[1:]) == ["ASSIGNED", "BATCH_FLUSHED", "WAITING_FOR_BATCH"]


async def test_priority_comes_before_age_in_a_batch(engine: HatchetEngine, tenant_id: UUID) -> None:
    await put(engine, tenant_id, batched(2))
    (low,) = await trigger(engine, tenant_id, {}, priority=1)
    (high,) = await trigger(engine, tenant_id, {}, priority=3)
    (middle,) = await trigger(engine, tenant_id, {}, priority=2)
    worker = await FakeWorker.connect(engine, tenant_id)
    assert members(await next_batch(worker)) == [high, middle]
    assert engine.ownership.owners[tenant_id].machine.is_waiting(low)


@pytest.mark.parametrize("way", ["rebuilt", "another engine"])
async def test_a_new_scheduler_keeps_buffers_and_batches(
    way: str, conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, batched(2, group_max_runs=1))
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    runs = await trigger(engine, tenant_id, *[{}] * 5)
    batch = await next_batch(worker)
    await report(worker, batch, ReportKind.STARTED)
    if way == "rebuilt":
        engine.ownership.invalidate_all()
        await until(lambda: engine.ownership.owners[tenant_id].is_ready)
    else:
        async with engine_on(conninfo) as other:
            await until(lambda: bool(other.ownership.owners))
    await until(lambda: _waits(engine, tenant_id) == 3)
    machine = engine.ownership.owners[tenant_id].machine
    assert machine.workers.free_slots(worker.id) == {"default": 0}
    await report(worker, batch, ReportKind.COMPLETED, runs[0], payload=b"{}")
    assert machine.workers.free_slots(worker.id) == {"default": 0}
    await report(worker, batch, ReportKind.COMPLETED, runs[1], payload=b"{}")
    assert members(await next_batch(worker)) == runs[2:4]


async def test_an_undelivered_batch_is_sent_again_over_the_next_stream(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, batched(2, group_key="input.key"))
    worker = await FakeWorker.connect(engine, tenant_id)
    batch_of_two = await trigger(engine, tenant_id, {"key": "k"}, {"key": "k"})
    batch = await next_batch(worker)
    ((_, again),) = await engine.database.run(load_undelivered([worker.id]))
    assert (again.kind, again.task_id, again.items) == (batch.kind, batch.task_id, batch.items)
    assert again.payload == batch.payload
    assert again.batch is not None
    assert again.batch.key == "k"
    await report(worker, batch, ReportKind.STARTED, batch_of_two[0])
    assert await engine.database.run(load_undelivered([worker.id])) == []


async def test_items_triggered_elsewhere_join_the_batch(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, batched(3))
    worker = await FakeWorker.connect(engine, tenant_id)
    runs = await trigger(engine, tenant_id, {})
    requests = [TriggerRequest("work")] * 2
    now = datetime.now(UTC)
    runs += await elsewhere(trigger_runs(tenant_id, requests, now))
    assert members(await next_batch(worker)) == runs


async def test_plain_tasks_get_their_turns_beside_batches(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, batched(1))
    plain = WorkflowDefinition("plain", (StepDefinition("run", "plain:run"),))
    await put(engine, tenant_id, plain)
    worker = await FakeWorker.connect(engine, tenant_id, "work:run", "plain:run", slots=1)
    await trigger(engine, tenant_id, {}, {}, {})
    running = await next_batch(worker)
    (other,) = await engine.trigger_runs(tenant_id, [TriggerRequest("plain")])
    started: list[UUID] = []
    for _ in range(2):
        await report(worker, running, ReportKind.COMPLETED, payload=b"{}")
        running = await worker.next()
        started.append(running.task_id)
        if running.kind is ActionKind.START:
            break
    assert other in started


async def test_a_replayed_run_joins_a_batch_again(engine: HatchetEngine, tenant_id: UUID) -> None:
    await put(engine, tenant_id, batched(1))
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id, {})
    await report(worker, await next_batch(worker), ReportKind.COMPLETED, payload=b"{}")
    await result_of(engine, tenant_id, run_id)
    await engine.replay(tenant_id, [run_id])
    again = await next_batch(worker)
    assert [(item.task_id, item.retry_count) for item in again.items] == [(run_id, 1)]


async def test_four_megabytes_are_never_exceeded(engine: HatchetEngine, tenant_id: UUID) -> None:
    await put(engine, tenant_id, batched(100, max_interval_ms=1500))
    worker = await FakeWorker.connect(engine, tenant_id)
    item = {"data": "x" * 100_000}
    runs = [run for _ in range(4) for run in await trigger(engine, tenant_id, *[item] * 25)]
    batches = [await next_batch(worker) for _ in range(3)]
    assert [len(batch.items) for batch in batches] == [39, 39, 22]
    assert [task_id for batch in batches for task_id in members(batch)] == runs
    assert [batch.batch.reason for batch in batches if batch.batch] == ["memory"] * 2 + ["interval"]
    assert all(len(batch.payload) < 4 * 1024 * 1024 for batch in batches)


async def test_a_batch_is_split_where_messages_hold_less(conninfo: str, tenant_id: UUID) -> None:
    async with engine_on(conninfo, max_message_bytes=1024 * 1024) as engine:
        await put(engine, tenant_id, batched(12))
        worker = await FakeWorker.connect(engine, tenant_id)
        runs = await trigger(engine, tenant_id, *[{"data": "x" * 100_000}] * 12)
        batches = [await next_batch(worker) for _ in range(2)]
    assert [task_id for batch in batches for task_id in members(batch)] == runs
    assert all(len(batch.payload) < 1024 * 1024 for batch in batches)


async def test_steps_of_different_runs_share_a_batch(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    steps = (
        StepDefinition("first", "work:first"),
        StepDefinition("second", "work:second", parents=("first",), batch=Batch(2, HOUR_MS)),
    )
    await put(engine, tenant_id, WorkflowDefinition("work", steps))
    worker = await FakeWorker.connect(engine, tenant_id, "work:first", "work:second")
    runs = await trigger(engine, tenant_id, {"n": 1}, {"n": 2})
    firsts = {action.run_id: action for action in [await worker.next(), await worker.next()]}
    for run_id in runs:
        await worker.complete(firsts[run_id], b'{"of":"%s"}' % str(run_id).encode())
    batch = await next_batch(worker)
    assert [item.run_id for item in batch.items] == runs
    payload = orjson.loads(batch.payload)
    for item in batch.items:
        outputs = payload[str(item.task_id)]["payload"]["parents"]
        assert outputs == {"first": {"of": str(item.run_id)}}
    await report(worker, batch, ReportKind.COMPLETED, payload=b"{}")
    for run_id in runs:
        assert await status_of(engine, tenant_id, run_id) is Status.COMPLETED


def _waits(engine: HatchetEngine, tenant_id: UUID) -> int:
    owner = engine.ownership.owners.get(tenant_id)
    return len(owner.machine.waiting()) if owner is not None and owner.is_ready else -1


async def _events_of(conninfo: str, run_id: UUID) -> list[str]:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute(
            "SELECT kind FROM engine_taskevent WHERE run_id = %s ORDER BY at, id", [run_id]
        )
        return [TaskEventKind(kind).name for (kind,) in await cursor.fetchall()]


async def test_items_of_a_paused_workflow_leave_their_buffer_and_come_back(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, batched(2))
    worker = await FakeWorker.connect(engine, tenant_id)
    runs = await trigger(engine, tenant_id, {})
    await until(lambda: _waits(engine, tenant_id) == 1)
    _, workflow_id = await engine.put_workflow(tenant_id, batched(2))
    now = datetime.now(UTC)
    pause = Pause("QUEUE", "QUEUE", 600.0)
    await elsewhere(pause_workflow(tenant_id, workflow_id, pause, now))
    await until(lambda: _waits(engine, tenant_id) == 0)
    runs += await trigger(engine, tenant_id, {})
    await elsewhere(unpause_workflow(tenant_id, workflow_id, datetime.now(UTC)))
    assert sorted(members(await next_batch(worker))) == runs


async def test_a_concurrency_slot_is_held_while_its_item_waits(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    chain = (Concurrency("'all'", 2, ConcurrencyStrategy.GROUP_ROUND_ROBIN),)
    await put(engine, tenant_id, batched(3, max_interval_ms=300, concurrency=chain))
    worker = await FakeWorker.connect(engine, tenant_id)
    runs = await trigger(engine, tenant_id, {}, {}, {})
    batch = await next_batch(worker)
    assert members(batch) == runs[:2]
    await report(worker, batch, ReportKind.COMPLETED, runs[0], payload=b"{}")
    assert members(await next_batch(worker)) == [runs[2]]
