"""New attempts start with the commit that creates them, whatever creates them, or wait in the queue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import orjson
import psycopg
import pytest

from engine.domain.definition import DefaultFilter, StepDefinition, WorkflowDefinition
from engine.models import Cron
from engine.operations.timetable.change_crons import create_cron
from engine.runtime.engine import HatchetEngine
from engine.states import Status
from engine.types import Action, EventInput, TriggerRequest, WorkerRegistration
from tests.recorder import Recorder
from tests.runtime.durable import LONG, Worker
from tests.runtime.harness import FakeWorker, elsewhere, trigger, until, with_django, workflow

PAID = WorkflowDefinition(
    "paid",
    (StepDefinition("run", "child:run"),),
    event_triggers=("order:paid",),
    default_filters=(DefaultFilter("input.amount > payload.least", "orders", '{"least":10}'),),
)
EVENT = EventInput("order:paid", b'{"amount":50}', b'{"m":"x"}', scope="orders")


class Born(NamedTuple):
    """How a run is stored: the transactions that wrote its rows last, and its task's state."""

    run: str
    task: str
    event: str | None
    status: Status
    worker_id: UUID | None
    inserted_at: datetime


async def born(conninfo: str, run_id: UUID) -> Born:
    sql = (
        "SELECT r.xmin::text, t.xmin::text, e.xmin::text, t.status, t.worker_id, t.created_at"
        " FROM engine_run r JOIN engine_task t ON t.run_id = r.id"
        " LEFT JOIN engine_event e ON e.id = r.event_id WHERE r.id = %s"
    )
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        row = await (await connection.execute(sql, [run_id])).fetchone()
    assert row is not None
    return Born(*row)


async def newest(conninfo: str, tenant_id: UUID) -> UUID:
    sql = "SELECT id FROM engine_run WHERE tenant_id = %s ORDER BY id DESC LIMIT 1"
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        row = await (await connection.execute(sql, [tenant_id])).fetchone()
    assert row is not None
    return UUID(str(row[0]))


async def by_event(worker: Worker) -> None:
    await worker.engine.push_events(worker.tenant_id, [EVENT])


async def by_replayed_event(worker: Worker) -> None:
    """The event is pushed before its workflow exists."""
    engine, tenant_id = worker.engine, worker.tenant_id
    (record,) = await engine.push_events(tenant_id, [replace(EVENT, key="order:late")])
    late = WorkflowDefinition("late", PAID.steps, event_triggers=("order:late",))
    await engine.put_workflow(tenant_id, late)
    await engine.replay_event(tenant_id, record.event_id)


async def by_cron(worker: Worker) -> None:
    now = datetime.now(UTC)
    made = create_cron(
        worker.tenant_id,
        name="soon",
        expression="* * * * * *",
        request=TriggerRequest("child"),
        now=now,
    )
    await elsewhere(made)


async def by_schedule(worker: Worker) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    await worker.engine.schedule_runs(worker.tenant_id, TriggerRequest("child"), [past])


async def by_durable_task(worker: Worker) -> None:
    (parent,) = await trigger(worker.engine, worker.tenant_id)
    action = await worker.start()
    assert action.task_id == parent
    await worker.spawn(action, "child")


Way = Callable[[Worker], Awaitable[None]]
WAYS: tuple[Way, ...] = (by_event, by_replayed_event, by_cron, by_schedule, by_durable_task)
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@pytest.fixture
async def worker(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> AsyncIterator[Worker]:
    """It has one slot for what is created, and one for a durable task that creates it."""
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    for definition in (LONG, PAID, workflow("child")):
        await engine.put_workflow(tenant_id, definition)
    slots = {"durable": 1, "default": 1}
    registration = WorkerRegistration("one", ("work:run", "child:run"), slots, {})
    worker_id = await engine.register_worker(tenant_id, registration)
    fake = await FakeWorker.connect(engine, tenant_id, worker_id=worker_id)
    yield Worker(engine, tenant_id, fake)
    await fake.leave()
    # Other tests' engines must not go on firing what this test leaves.
    await with_django(lambda: Cron.objects.filter(tenant_id=tenant_id).delete())


def told(action: Action) -> tuple[object, object]:
    """What started it, and the payload of the filter that let its event pass."""
    payload = orjson.loads(action.payload)
    return payload["triggered_by"], payload["triggers"]["filter_payload"]


@every_way
async def test_it_runs_with_the_commit_that_creates_it(
    way: Way, conninfo: str, worker: Worker
) -> None:
    await way(worker)
    action = await worker.worker.next_start()
    row = await born(conninfo, action.run_id)
    assert (row.status, row.worker_id) == (Status.RUNNING, worker.worker.id)
    assert (action.retry_count, action.created_at) == (0, row.inserted_at)
    assert row.run == row.task
    if way in (by_event, by_replayed_event):
        assert row.event == row.run
        assert action.event_id is not None
        least = {"least": 10} if way is by_event else None
        assert told(action) == ("event", least)
        metadata = {"m": "x", "hatchet__event_id": str(action.event_id)}
        metadata["hatchet__event_key"] = str(action.event_key)
        assert orjson.loads(action.additional_metadata or b"") == metadata
    else:
        assert (action.event_id, row.event, told(action)) == (None, None, ("manual", None))


@every_way
async def test_it_waits_where_no_slot_is_free(
    way: Way, conninfo: str, worker: Worker, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.trigger_runs(tenant_id, [TriggerRequest("child")])
    busy = await worker.worker.next_start()
    await way(worker)
    machine = engine.ownership.owners[tenant_id].machine
    await until(lambda: machine.waiting_count() > 0)
    waiting = await born(conninfo, await newest(conninfo, tenant_id))
    assert (waiting.status, waiting.worker_id) == (Status.QUEUED, None)
    await worker.worker.complete(busy)
    action = await worker.worker.next_start()
    row = await born(conninfo, action.run_id)
    assert (row.status, row.worker_id) == (Status.RUNNING, worker.worker.id)
    assert row.task not in (waiting.task, row.event)
