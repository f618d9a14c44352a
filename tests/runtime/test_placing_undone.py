"""What was placed for a transaction that fails is given back: slots, units of rate limits, places in groups."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engine.domain.definition import (
    Concurrency,
    DefaultFilter,
    RateLimit,
    StepDefinition,
    WorkflowDefinition,
)
from engine.domain.scheduler.machine import TenantScheduler
from engine.errors import InvalidArgument
from engine.operations.parts.plan_runs import plan_new_run
from engine.operations.put_workflow import put_workflow
from engine.operations.trigger_runs import Inserted, insert_new_runs
from engine.runtime.engine import HatchetEngine
from engine.runtime.scheduler.owner import TenantOwner
from engine.states import RateLimitWindow, Status
from engine.store.async_db import AsyncDatabase
from engine.store.pipeline import Pipeline
from engine.store.placing import Wanting
from engine.store.query import Operation, breathe, repeatable
from engine.types import Action, EventInput, TriggerRequest
from tests.recorder import Recorder
from tests.runtime.harness import FakeWorker, trigger, until, workflow

POISON = TriggerRequest("work", b'{"key":"k"}', additional_metadata=b'{"a":"\\u0000"}')
"""Postgres takes no such text: the statement fails that inserts the run."""
GOOD = POISON._replace(additional_metadata=None)
BY_KEY = (Concurrency("input.key", 1),)
LIMITED = WorkflowDefinition(
    "work",
    (StepDefinition("run", "work:run", rate_limits=(RateLimit("api"),), concurrency=BY_KEY),),
)
STEPS = (
    StepDefinition("run", "work:run"),
    StepDefinition("then", "work:run", parents=("run",)),
)
BY_RUN = WorkflowDefinition("work", STEPS, concurrency=BY_KEY)
PUSHED = EventInput("pushed", b'{"l":[]}', scope="scope")
COSTLY = "input.l.map(a, input.l.map(b, a)).size() > 0"
HEAVY = EventInput("pushed", b'{"l":[%s]}' % b",".join([b"1"] * 80), scope="scope")


def pushed(expression: str | None = None) -> WorkflowDefinition:
    filters = () if expression is None else (DefaultFilter(expression, "scope"),)
    return replace(workflow(), event_triggers=("pushed",), default_filters=filters)


async def connect(
    engine: HatchetEngine,
    tenant_id: UUID,
    recorder: Recorder,
    definition: WorkflowDefinition,
    slots: int = 1,
) -> FakeWorker:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    await engine.put_workflow(tenant_id, definition)
    return await FakeWorker.connect(engine, tenant_id, slots=slots)


def owner_of(engine: HatchetEngine, tenant_id: UUID) -> TenantOwner:
    return engine.ownership.owners[tenant_id]


def is_free(engine: HatchetEngine, worker: FakeWorker) -> bool:
    machine = owner_of(engine, worker.tenant_id).machine
    return machine.workers.free_slots(worker.id) == {"default": 1}


async def status_of(engine: HatchetEngine, tenant_id: UUID, run_id: UUID) -> Status:
    return (await engine.get_run_details(tenant_id, run_id)).status


def holdings(machine: TenantScheduler, worker: FakeWorker) -> tuple[Any, ...]:
    limit = machine.limits.state("api")
    return (
        machine.workers.free_slots(worker.id),
        machine.workers.running_count(),
        machine.waiting_count(),
        sorted(machine.groups.attempts()),
        limit and (limit.value, limit.limit),
    )


class Pause:
    """Stops an operation where it has got its places, until it may go on."""

    def __init__(self) -> None:
        self.reached, self._over = asyncio.Event(), asyncio.Event()
        self.asked = 0

    def end(self) -> None:
        self._over.set()

    def pausing(self, begin: Callable[[], Operation[Inserted]]) -> Operation[Inserted]:
        @repeatable
        def paused() -> Operation[Inserted]:
            running = iter(begin())
            try:
                step = next(running)
                while True:
                    answer = yield step
                    if isinstance(step, Wanting):
                        self.asked += 1
                        self.reached.set()
                        while not self._over.is_set():
                            yield from breathe()
                    step = running.send(answer)
            except StopIteration as stop:
                inserted: Inserted = stop.value
                return inserted

        return paused()


@asynccontextmanager
async def inserting(
    engine: HatchetEngine, tenant_id: UUID, request: TriggerRequest
) -> AsyncIterator[tuple[Pause, asyncio.Task[Inserted]]]:
    """A transaction that has got a place for a run, and waits."""
    versions = await engine.catalog.resolve(tenant_id, ["work"])
    planned, pause = [plan_new_run(request, versions["work"])], Pause()
    operation = pause.pausing(lambda: insert_new_runs(planned, datetime.now(UTC)))
    running = asyncio.create_task(engine.database.run(operation))
    async with asyncio.timeout(20):
        await pause.reached.wait()
    yield pause, running
    pause.end()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("definition", [workflow(), LIMITED, BY_RUN], ids=["slot", "limit", "run"])
async def test_the_next_run_gets_what_a_refused_one_had(
    definition: WorkflowDefinition, engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    worker = await connect(engine, tenant_id, recorder, definition)
    await engine.put_rate_limit(tenant_id, "api", 1, RateLimitWindow.HOUR)
    limits = owner_of(engine, tenant_id).machine.limits
    await until(lambda: limits.state("api") is not None)
    with pytest.raises(InvalidArgument):
        await engine.trigger_runs(tenant_id, [POISON])
    (run_id,) = await engine.trigger_runs(tenant_id, [GOOD])
    assert await status_of(engine, tenant_id, run_id) is Status.RUNNING
    assert (await worker.next_start()).run_id == run_id
    await rebuilt_is_the_same(engine, worker, recorder)


async def rebuilt_is_the_same(
    engine: HatchetEngine, worker: FakeWorker, recorder: Recorder
) -> None:
    owner = owner_of(engine, worker.tenant_id)
    before = holdings(owner.machine, worker)
    engine.ownership.invalidate(owner)
    epoch = owner.epoch + 1
    await recorder.wait_for("scheduler.rebuilt", tenant_id=worker.tenant_id, epoch=epoch)
    groups = owner.machine.groups
    await until(lambda: len(groups.attempts()) == len(before[3]))
    assert holdings(owner.machine, worker) == before


async def test_what_was_queued_meanwhile_starts_at_once(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    worker = await connect(engine, tenant_id, recorder, workflow())
    async with inserting(engine, tenant_id, POISON) as (pause, running):
        (run_id,) = await trigger(engine, tenant_id)
        assert await status_of(engine, tenant_id, run_id) is Status.QUEUED
        pause.end()
        with pytest.raises(InvalidArgument):
            await running
        machine = owner_of(engine, tenant_id).machine
        assert machine.workers.task_on(run_id) is not None, "nothing else hands the slot on"
    assert (await worker.next_start()).task_id == run_id
    await rebuilt_is_the_same(engine, worker, recorder)


async def test_a_caller_that_goes_away_gives_back_what_was_placed(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    worker = await connect(engine, tenant_id, recorder, workflow())
    async with inserting(engine, tenant_id, GOOD) as (_, running):
        assert not is_free(engine, worker)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert is_free(engine, worker)
    (run_id,) = await trigger(engine, tenant_id)
    assert (await worker.next_start()).task_id == run_id
    await rebuilt_is_the_same(engine, worker, recorder)


async def test_an_attempt_that_waits_for_an_expression_keeps_no_place(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID, recorder: Recorder
) -> None:
    """The first tenant's run was placed when the second one's filter proved to be costly."""
    first, second = sorted((tenant_id, stranger_id))
    worker = await connect(engine, first, recorder, pushed())
    other = await connect(engine, second, recorder, pushed(COSTLY))
    await asyncio.gather(engine.push_events(first, [PUSHED]), engine.push_events(second, [HEAVY]))
    for each in (worker, other):
        action = await each.next_start()
        assert await status_of(engine, each.tenant_id, action.run_id) is Status.RUNNING
        assert not is_free(engine, each)
        await each.complete(action)
        assert is_free(engine, each)


async def test_a_place_under_a_lost_lease_is_not_used(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    """As when an engine was paused: another one took the tenant meanwhile."""
    worker = await connect(engine, tenant_id, recorder, pushed())
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute(
            "UPDATE engine_lease SET epoch = epoch + 1, engine_id = gen_random_uuid(),"
            " expires_at = now() + interval '2 seconds' WHERE tenant_id = %s",
            [tenant_id],
        )
    (record,) = await engine.push_events(tenant_id, [PUSHED])
    assert tenant_id not in engine.ownership.owners
    action = await worker.next_start()
    assert action.event_id == record.event_id
    await rebuilt_is_the_same(engine, worker, recorder)


async def test_a_place_of_a_scheduler_that_was_rebuilt_is_found_anew(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    """The old epoch is over, but the lease is ours: the tenant is scheduled on."""
    worker = await connect(engine, tenant_id, recorder, workflow())
    owner = owner_of(engine, tenant_id)
    async with inserting(engine, tenant_id, GOOD) as (pause, running):
        engine.ownership.invalidate(owner)
        await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
        pause.end()
        (run_id,) = (await running).ids
        assert pause.asked == 2
    assert engine.ownership.owners[tenant_id] is owner
    assert await status_of(engine, tenant_id, run_id) is Status.RUNNING
    assert (await worker.next_start()).task_id == run_id
    await rebuilt_is_the_same(engine, worker, recorder)


async def test_a_scheduler_that_fails_costs_no_other_tenant_its_slots(
    engine: HatchetEngine,
    tenant_id: UUID,
    stranger_id: UUID,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = sorted((tenant_id, stranger_id))
    worker = await connect(engine, first, recorder, workflow())
    other = await connect(engine, second, recorder, workflow())

    def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(owner_of(engine, second).machine, "offer", break_down)
    started = await asyncio.gather(trigger(engine, first), trigger(engine, second))
    for each, (run_id,) in zip((worker, other), started, strict=True):
        assert (await each.next_start()).task_id == run_id
        assert not is_free(engine, each)


# Batches of events


async def stored(conninfo: str, tenant_id: UUID) -> list[tuple[str, int]]:
    """The keys of the tenant's events, and how many runs each started."""
    sql = (
        "SELECT e.key, count(r.id) FROM engine_event e LEFT JOIN engine_run r ON r.event_id = e.id"
        " WHERE e.tenant_id = %s GROUP BY e.id, e.key ORDER BY 1"
    )
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        return await (await connection.execute(sql, [tenant_id])).fetchall()


async def transactions(conninfo: str, actions: list[Action]) -> set[str]:
    """Those which wrote the rows of these runs, their tasks and events last."""
    sql = (
        "SELECT unnest(ARRAY[r.xmin::text, t.xmin::text, e.xmin::text]) FROM engine_run r"
        " JOIN engine_task t ON t.run_id = r.id JOIN engine_event e ON e.id = r.event_id"
        " WHERE r.id = ANY(%s)"
    )
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute(sql, [[action.run_id for action in actions]])
        return {number for (number,) in await cursor.fetchall()}


async def test_events_of_several_tenants_start_their_runs_in_one_transaction(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID, recorder: Recorder
) -> None:
    tenants = (tenant_id, stranger_id)
    workers = [await connect(engine, tenant, recorder, pushed(), slots=2) for tenant in tenants]
    pushes = [engine.push_events(tenant, [PUSHED]) for tenant in (*tenants, *tenants)]
    await asyncio.gather(*pushes)
    actions = [await worker.next_start() for worker in (*workers, *workers)]
    assert len(await transactions(conninfo, actions)) == 1


async def test_a_call_that_cannot_be_stored_fails_alone_and_whole(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID, recorder: Recorder
) -> None:
    tenants = (tenant_id, stranger_id)
    workers = [await connect(engine, tenant, recorder, pushed()) for tenant in tenants]
    poison = replace(PUSHED, additional_metadata=POISON.additional_metadata)
    good = [engine.push_events(tenant, [PUSHED]) for tenant in tenants]
    bad = engine.push_events(tenant_id, [replace(PUSHED, key="fine"), PUSHED, poison])
    outcomes = await asyncio.gather(good[0], bad, good[1], return_exceptions=True)
    assert [isinstance(outcome, InvalidArgument) for outcome in outcomes] == [False, True, False]
    for worker in workers:
        assert await stored(conninfo, worker.tenant_id) == [("pushed", 1)]
        action = await worker.next_start()
        assert await status_of(engine, worker.tenant_id, action.run_id) is Status.RUNNING
        await worker.complete(action)
        assert is_free(engine, worker)


async def test_an_event_whose_targets_have_changed_is_placed_anew(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    worker = await connect(engine, tenant_id, recorder, pushed())
    for _ in range(2):
        await engine.push_events(tenant_id, [PUSHED])
        await worker.complete(await worker.next_start())
    elsewhere = AsyncDatabase(conninfo, on_committed=lambda _changes: None)
    await elsewhere.open()
    try:
        other = replace(pushed(), name="other")
        await elsewhere.run(put_workflow(tenant_id, other, datetime.now(UTC)))
    finally:
        await elsewhere.close()
    await engine.push_events(tenant_id, [PUSHED])
    found = await stored(conninfo, tenant_id)
    assert sorted(count for _, count in found) == [1, 1, 2]
    await worker.complete(await worker.next_start())
    await worker.complete(await worker.next_start())
    assert is_free(engine, worker)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_connection_that_breaks_at_the_commit_stores_events_once(
    moment: str,
    conninfo: str,
    engine: HatchetEngine,
    tenant_id: UUID,
    stranger_id: UUID,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tenants = (tenant_id, stranger_id)
    workers = [await connect(engine, tenant, recorder, pushed()) for tenant in tenants]
    exchange = Pipeline._exchange
    broken: list[str] = []

    async def kill(pid: int) -> None:
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as killer:
            await killer.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    async def break_once(self: Pipeline, queries: Any, *, with_sync: bool) -> Any:
        if broken or not (with_sync and self._placed):
            return await exchange(self, queries, with_sync=with_sync)
        broken.append(moment)
        if moment == "after":
            await exchange(self, queries, with_sync=with_sync)
        await kill(self._pg.backend_pid)
        if moment == "after":
            while True:  # until the loss is noticed
                self._pg.consume_input()
        return await exchange(self, queries, with_sync=with_sync)

    monkeypatch.setattr(Pipeline, "_exchange", break_once)
    await asyncio.gather(*[engine.push_events(tenant, [PUSHED]) for tenant in tenants])
    assert broken == [moment]
    for worker in workers:
        action = await worker.next_start()
        assert await stored(conninfo, worker.tenant_id) == [("pushed", 1)]
        await worker.complete(action)
        await until(lambda: owner_of(engine, tenant_id).is_ready)
        (run_id,) = await trigger(engine, worker.tenant_id)
        assert (await worker.next_start()).task_id == run_id
