"""Idempotency keys in a whole engine: who gets a key, for how long, and what the others are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engine.domain.definition import Idempotency, StepDefinition, WorkflowDefinition
from engine.errors import IdempotencyCollision, InvalidArgument, NotFound
from engine.operations.trigger_runs import trigger_runs
from engine.runtime.engine import HatchetEngine
from engine.states import CelSource, IdempotencyMethod, Status
from engine.store import idempotency
from engine.types import EventInput, ReportKind, TriggerRequest
from tests.runtime.harness import FakeWorker, engine_on, make_tenant, result_of, until

HOUR_MS = 3_600_000
BY_TTL = Idempotency("input.key", HOUR_MS)
BY_STATUS = Idempotency("input.key", HOUR_MS, IdempotencyMethod.STATUS)


@pytest.fixture
def tenant_id(committed_db: None) -> UUID:
    return make_tenant()


@pytest.fixture
async def engine(conninfo: str, tenant_id: UUID) -> AsyncIterator[HatchetEngine]:
    async with engine_on(conninfo) as engine:
        await until(lambda: tenant_id in engine.ownership.owners)
        yield engine


async def put(
    engine: HatchetEngine,
    tenant_id: UUID,
    settings: Idempotency,
    *steps: StepDefinition,
    name: str = "work",
) -> None:
    chosen = steps or (StepDefinition("run", "work:run", retries=1),)
    definition = WorkflowDefinition(
        name, chosen, idempotency=settings, event_triggers=(f"{name}:asked",)
    )
    await engine.put_workflow(tenant_id, definition)


def keyed(key: str, name: str = "work") -> TriggerRequest:
    return TriggerRequest(name, input=b'{"key":"%s"}' % key.encode())


async def start(engine: HatchetEngine, tenant_id: UUID, *keys: str) -> list[UUID]:
    return await engine.trigger_runs(tenant_id, [keyed(key) for key in keys])


async def collision(engine: HatchetEngine, tenant_id: UUID, *keys: str) -> IdempotencyCollision:
    with pytest.raises(IdempotencyCollision, match=r"^idempotency key collision$") as caught:
        await start(engine, tenant_id, *keys)
    return caught.value


async def test_a_key_is_held_for_its_time_even_after_the_run(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, BY_TTL)
    worker = await FakeWorker.connect(engine, tenant_id)
    (first,) = await start(engine, tenant_id, "a")
    told = await collision(engine, tenant_id, "a")
    assert told.started == ()
    assert [one.existing for one in told.collisions] == [first]
    with pytest.raises(NotFound):
        await engine.get_run_details(tenant_id, told.collisions[0].colliding)
    await worker.complete(await worker.next_start())
    await result_of(engine, tenant_id, first)
    await collision(engine, tenant_id, "a")


async def test_a_key_is_free_when_its_time_is_over(engine: HatchetEngine, tenant_id: UUID) -> None:
    await put(engine, tenant_id, Idempotency("input.key", 1))
    (first,) = await start(engine, tenant_id, "a")
    (second,) = await start(engine, tenant_id, "a")
    assert first != second


@pytest.mark.parametrize("outcome", [ReportKind.COMPLETED, ReportKind.FAILED, None])
async def test_a_status_key_is_held_over_retries_and_free_with_the_result(
    engine: HatchetEngine, tenant_id: UUID, outcome: ReportKind | None
) -> None:
    await put(engine, tenant_id, BY_STATUS)
    worker = await FakeWorker.connect(engine, tenant_id)
    (first,) = await start(engine, tenant_id, "a")
    await worker.report(await worker.next_start(), ReportKind.FAILED, b"once")
    again = await worker.next_start()
    await collision(engine, tenant_id, "a")
    if outcome is None:
        await engine.cancel(tenant_id, [first])
    else:
        await worker.report(again, outcome)
    await result_of(engine, tenant_id, first)
    (second,) = await start(engine, tenant_id, "a")
    assert (await collision(engine, tenant_id, "a")).collisions[0].existing == second


async def test_a_dag_holds_its_status_key_until_its_last_task_is_final(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    steps = StepDefinition("a", "work:run"), StepDefinition("b", "work:run", parents=("a",))
    await put(engine, tenant_id, BY_STATUS, *steps)
    worker = await FakeWorker.connect(engine, tenant_id)
    (first,) = await start(engine, tenant_id, "a")
    await worker.complete(await worker.next_start())
    last = await worker.next_start()
    await collision(engine, tenant_id, "a")
    await worker.complete(last)
    await result_of(engine, tenant_id, first)
    await start(engine, tenant_id, "a")


async def test_a_bulk_starts_what_does_not_collide(engine: HatchetEngine, tenant_id: UUID) -> None:
    await put(engine, tenant_id, BY_TTL)
    worker = await FakeWorker.connect(engine, tenant_id, slots=2)
    (held,) = await start(engine, tenant_id, "a")
    told = await collision(engine, tenant_id, "b", "a", "c", "b")
    b, c = told.started
    assert [one.existing for one in told.collisions] == [held, b]
    for run_id in (b, c):
        assert (await engine.get_run_details(tenant_id, run_id)).status is not Status.FAILED
    seen = []
    for _ in range(3):
        action = await worker.next_start()
        seen.append(action.run_id)
        await worker.complete(action)
    assert sorted(seen) == sorted([held, b, c]), "a slot was lost to a run that was not started"


async def test_keys_are_the_tenants_own(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID
) -> None:
    for owner in (tenant_id, stranger_id):
        await put(engine, owner, BY_TTL)
        await start(engine, owner, "a")
    await put(engine, tenant_id, BY_TTL, name="other")
    with pytest.raises(IdempotencyCollision):
        await engine.trigger_runs(tenant_id, [keyed("a", "other")])


async def test_a_child_that_collided_may_be_spawned_again(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, BY_STATUS)
    (parent,) = await start(engine, tenant_id, "a")

    def child(key: str) -> TriggerRequest:
        data = b'{"key":"%s"}' % key.encode()
        return TriggerRequest("work", data, parent_task_id=parent, child_index=0)

    with pytest.raises(IdempotencyCollision):
        await engine.trigger_runs(tenant_id, [child("a")])
    (spawned,) = await engine.trigger_runs(tenant_id, [child("b")])
    assert await engine.trigger_runs(tenant_id, [child("b")]) == [spawned]


async def test_an_event_whose_key_is_held_or_fails_starts_nothing(
    engine: HatchetEngine, tenant_id: UUID, conninfo: str
) -> None:
    await put(engine, tenant_id, BY_TTL)
    events = [EventInput("work:asked", data) for data in (b'{"key":"a"}', b'{"key":"a"}', b"{}")]
    records = await engine.push_events(tenant_id, events)
    assert len(records) == 3
    worker = await FakeWorker.connect(engine, tenant_id, slots=5)
    assert (await worker.next_start()).event_id == records[0].event_id
    (after,) = await start(engine, tenant_id, "b")
    assert (await worker.next_start()).run_id == after
    with psycopg.connect(conninfo) as other:
        query = "SELECT source, event_id, error FROM engine_celfailure WHERE tenant_id = %s"
        ((source, event_id, error),) = other.execute(query, [tenant_id]).fetchall()
    assert (source, event_id) == (CelSource.IDEMPOTENCY_KEY, records[2].event_id)
    assert "no such key" in error


@pytest.mark.parametrize(
    ("data", "problem"), [(b"{}", 'no such key: "key"'), (b'{"key":1}', "must come to a string")]
)
async def test_a_key_that_cannot_be_evaluated_is_refused(
    engine: HatchetEngine, tenant_id: UUID, data: bytes, problem: str
) -> None:
    await put(engine, tenant_id, BY_TTL)
    with pytest.raises(InvalidArgument, match=problem):
        await engine.trigger_runs(tenant_id, [TriggerRequest("work", data)])


async def test_of_many_at_once_one_gets_the_key(conninfo: str, tenant_id: UUID) -> None:
    async with engine_on(conninfo) as first, engine_on(conninfo) as second:
        await put(first, tenant_id, BY_TTL)
        wishes = [
            asyncio.create_task(start(engine, tenant_id, "a")) for engine in (first, second) * 10
        ]
        outcomes = await asyncio.gather(*wishes, return_exceptions=True)
    started = [outcome[0] for outcome in outcomes if isinstance(outcome, list)]
    collided = [outcome for outcome in outcomes if isinstance(outcome, IdempotencyCollision)]
    assert (len(started), len(collided)) == (1, 19)
    assert {one.existing for told in collided for one in told.collisions} == set(started)


@pytest.mark.parametrize("is_replay_first", [True, False])
@pytest.mark.parametrize("is_swept", [False, True])
async def test_of_a_replay_and_a_new_run_at_once_one_gets_the_key(
    is_replay_first: bool, is_swept: bool, conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    """Both wait for whoever has the key; the second then sees what the first made of its holder."""
    await put(engine, tenant_id, BY_STATUS)
    worker = await FakeWorker.connect(engine, tenant_id, slots=5)
    (first,) = await start(engine, tenant_id, "a")
    await worker.complete(await worker.next_start())
    await result_of(engine, tenant_id, first)
    async with await psycopg.AsyncConnection.connect(conninfo) as other:
        await _have_the_key(other, tenant_id, first, is_swept=is_swept)
        calls = [engine.replay(tenant_id, [first]), start(engine, tenant_id, "a")]
        tasks = []
        for call in calls if is_replay_first else reversed(calls):
            tasks.append(asyncio.ensure_future(call))
            await _are_waiting(conninfo, len(tasks))
        await (other.rollback() if is_swept else other.commit())
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    (winner,) = (outcome for outcome in outcomes if isinstance(outcome, list))
    (loser,) = (outcome for outcome in outcomes if isinstance(outcome, IdempotencyCollision))
    if not is_swept:
        assert winner is outcomes[0], "a row's lock is handed out in turn"
    assert [one.existing for one in loser.collisions] == winner
    action = await worker.next_start()
    assert action.run_id == winner[0]
    await worker.complete(action)
    await result_of(engine, tenant_id, winner[0])
    await start(engine, tenant_id, "a")


async def _have_the_key(
    connection: psycopg.AsyncConnection[Any], tenant_id: UUID, run_id: UUID, *, is_swept: bool
) -> None:
    """Lock the key's row; or, as if it had been swept, have its place without a row that stays."""
    mine = "FROM engine_idempotencykey WHERE tenant_id = %s"
    if not is_swept:
        await connection.execute(f"SELECT {mine} FOR UPDATE", [tenant_id])
        return
    await connection.execute(f"DELETE {mine}", [tenant_id])
    await connection.commit()
    await connection.execute(
        """INSERT INTO engine_idempotencykey (tenant_id, digest, run_id, expires_at, ends_with_run)
           VALUES (%s, sha256('a'), %s, now() + interval '1 hour', true)""",
        [tenant_id, run_id],
    )


async def _are_waiting(conninfo: str, count: int) -> None:
    query = """SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    async with (
        asyncio.timeout(20),
        await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as watching,
    ):
        found = 0
        while found < count:
            await asyncio.sleep(0.01)
            row = await (await watching.execute(query)).fetchone()
            found = row[0] if row else 0


async def test_without_a_scheduler_nothing_of_a_collision_is_started(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, BY_TTL)
    (held,) = await start(engine, tenant_id, "a")
    operation = trigger_runs(tenant_id, [keyed("b"), keyed("a")], datetime.now(UTC))
    with pytest.raises(IdempotencyCollision) as caught:
        await engine.database.run(operation)
    assert [one.existing for one in caught.value.collisions] == [held]
    await start(engine, tenant_id, "b")


async def test_keys_whose_time_is_over_are_swept_away(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await put(engine, tenant_id, BY_TTL)
    (run_id,) = await start(engine, tenant_id, "a")
    now = datetime.now(UTC)
    assert run_id not in await engine.database.fetch(idempotency.delete_expired(now))
    later = now + timedelta(hours=2)
    assert run_id in await engine.database.fetch(idempotency.delete_expired(later))
