"""What other programs commit is carried out by engines: once, in order, and no transaction waits for another."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.utils import timezone

from engine.models import OutboxRow, Run, SqlRole, Workflow
from engine.runtime.controllers import outbox
from engine.runtime.engine import HatchetEngine
from engine.states import Status
from tests.recorder import Recorder
from tests.runtime.harness import (
    FakeWorker,
    engine_on,
    result_of,
    until_rows,
    with_django,
    workflow,
)

Connection = psycopg.AsyncConnection[Any]
ENQUEUE = "SELECT hatchet_v1.enqueue('work', %s::jsonb)"


@asynccontextmanager
async def program(conninfo: str, tenant_id: UUID, **options: Any) -> AsyncIterator[Connection]:
    """A connection of a program of the tenant's."""
    async with await psycopg.AsyncConnection.connect(conninfo, **options) as connection:
        await connection.execute("SELECT set_config('hatchet.tenant', %s, false)", [str(tenant_id)])
        await connection.commit()
        yield connection


@pytest.fixture
def quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that are made afterwards look for what no hint told of again and again."""
    monkeypatch.setattr(outbox, "INTERVAL_SECONDS", 0.1)


@pytest.fixture
def mapped(conninfo: str, tenant_id: UUID) -> UUID:
    """The tenant, for which whoever the tests log in as may act."""
    role = str(psycopg.conninfo.conninfo_to_dict(conninfo)["user"])
    SqlRole.objects.create(role=role, tenant_id=tenant_id, created_at=timezone.now())
    return tenant_id


@pytest.fixture
async def worker(engine: HatchetEngine, mapped: UUID) -> FakeWorker:
    await engine.put_workflow(mapped, workflow())
    return await FakeWorker.connect(engine, mapped)


async def one(connection: Connection, statement: str, *params: Any) -> Any:
    row = await (await connection.execute(statement, params)).fetchone()
    assert row is not None
    return row[0]


async def enqueue(connection: Connection, **data: Any) -> UUID:
    run_id = await one(connection, ENQUEUE, json.dumps(data))
    assert isinstance(run_id, UUID)
    return run_id


async def status_of(engine: HatchetEngine, tenant_id: UUID, run_id: UUID) -> Status:
    """Wait for a run of one task as a client does."""
    (result,) = (await result_of(engine, tenant_id, run_id)).results
    return result.status


async def test_a_run_starts_when_its_transaction_commits_and_not_before(
    conninfo: str, mapped: UUID, engine: HatchetEngine, worker: FakeWorker
) -> None:
    async with program(conninfo, mapped) as app, program(conninfo, mapped) as other:
        waits = await enqueue(app)
        rolled_back = await enqueue(other)
        await other.rollback()
        sooner = await enqueue(other)
        await other.commit()
        first = await worker.next_start()
        assert first.run_id == sooner, "an open transaction keeps no other waiting"
        await worker.complete(first)
        await app.commit()
        second = await worker.next_start()
        assert second.run_id == waits
        await worker.complete(second, b'{"done":1}')
        assert (await result_of(engine, mapped, waits)).run_id == waits
    assert await with_django(lambda: Run.objects.filter(id=rolled_back).exists()) is False
    assert await with_django(lambda: OutboxRow.objects.filter(tenant_id=mapped).count()) == 0


async def test_the_commit_is_told_at_once(
    conninfo: str, mapped: UUID, worker: FakeWorker, recorder: Recorder
) -> None:
    async with program(conninfo, mapped, autocommit=True) as app:
        await enqueue(app)
        await recorder.wait_for("hint.received", tenant_id=mapped, sender_id=None)
        await worker.next_start()


async def test_a_prepared_transaction_starts_its_run_when_it_is_committed(
    quick_look: None, conninfo: str, mapped: UUID, worker: FakeWorker
) -> None:
    name = f"two-phase-{mapped}"
    async with program(conninfo, mapped) as app:
        await app.execute("SET LOCAL hatchet.hints = off")
        run_id = await enqueue(app)
        await app.execute(f"PREPARE TRANSACTION '{name}'")
    async with program(conninfo, mapped, autocommit=True) as later:
        assert await with_django(lambda: Run.objects.filter(id=run_id).exists()) is False
        await later.execute(f"COMMIT PREPARED '{name}'")
        assert (await worker.next_start()).run_id == run_id


async def test_serializable_transactions_enqueue_too(
    conninfo: str, mapped: UUID, worker: FakeWorker
) -> None:
    async with program(conninfo, mapped) as app:
        await app.set_isolation_level(psycopg.IsolationLevel.SERIALIZABLE)
        run_id = await one(app, "SELECT hatchet_v1.enqueue('work', key => 'serial')")
        assert await one(app, "SELECT hatchet_v1.find('serial')") == run_id
        await app.commit()
        assert (await worker.next_start()).run_id == run_id


async def test_whoever_lost_the_connection_asks_by_key_and_may_say_it_again(
    conninfo: str, mapped: UUID, worker: FakeWorker
) -> None:
    said = "SELECT hatchet_v1.enqueue('work', key => 'order-7')"
    async with program(conninfo, mapped, autocommit=True) as other:
        async with program(conninfo, mapped) as app:
            lost = await one(app, said)
            await other.execute("SELECT pg_terminate_backend(%s)", [app.info.backend_pid])
            with pytest.raises(psycopg.OperationalError):
                await app.commit()
        assert await one(other, "SELECT hatchet_v1.find('order-7')") is None
        run_id = await one(other, said)
        assert run_id != lost
        assert await one(other, said) == await one(other, "SELECT hatchet_v1.find('order-7')")
        assert (await worker.next_start()).run_id == run_id


async def test_of_two_attempts_one_completes_the_task_and_writes_what_it_has_done(
    conninfo: str, mapped: UUID, engine: HatchetEngine, worker: FakeWorker
) -> None:
    complete = "SELECT hatchet_v1.complete(%s, 0)"
    async with program(conninfo, mapped) as first, program(conninfo, mapped) as second:
        run_id = await enqueue(first)
        await first.commit()
        action = await worker.next_start()
        await second.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await second.execute("SELECT 1")  # its snapshot is older than what follows
        await first.execute(complete, [action.task_id])
        await first.commit()
        assert await status_of(engine, mapped, run_id) is Status.COMPLETED
        with pytest.raises(psycopg.errors.SerializationFailure):
            await second.execute(complete, [action.task_id])
        await second.rollback()
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            await second.execute(complete, [action.task_id])


async def test_an_open_completion_holds_up_no_engine(
    conninfo: str, mapped: UUID, engine: HatchetEngine, worker: FakeWorker
) -> None:
    async with program(conninfo, mapped) as app:
        run_id = await enqueue(app)
        await app.commit()
        action = await worker.next_start()
        await app.execute("SELECT hatchet_v1.complete(%s, 0)", [action.task_id])
        await worker.complete(action, b'{"by":"report"}')
        assert await status_of(engine, mapped, run_id) is Status.COMPLETED
        await app.commit()
    await until_rows(lambda: not OutboxRow.objects.filter(tenant_id=mapped).exists())


async def test_a_bad_row_fails_alone_and_is_shown(
    conninfo: str, mapped: UUID, engine: HatchetEngine, worker: FakeWorker, recorder: Recorder
) -> None:
    await engine.put_workflow(mapped, workflow("doomed"))
    async with program(conninfo, mapped) as app:
        before = await enqueue(app)
        bad = await one(app, "SELECT hatchet_v1.enqueue('doomed')")
        after = await enqueue(app)
        await with_django(
            lambda: Workflow.objects.filter(tenant_id=mapped, name="doomed").update(
                deleted_at=timezone.now()
            )
        )
        await app.commit()
        assert {(await worker.next_start()).run_id for _ in range(2)} == {before, after}
    told = await recorder.wait_for("outbox.refused", tenant_id=mapped, row_id=bad)
    assert told.metadata["cause"] == 'workflow "doomed" is not known'
    row = await with_django(lambda: OutboxRow.objects.get(tenant_id=mapped))
    assert (row.id, row.failure) == (bad, told.metadata["cause"])


async def test_what_breaks_the_batch_is_found_and_fails_alone(
    conninfo: str, mapped: UUID, worker: FakeWorker, recorder: Recorder
) -> None:
    async with program(conninfo, mapped) as app:
        before = await enqueue(app)
        broken, after = await enqueue(app), await enqueue(app)
        await app.execute("UPDATE engine_outboxrow SET metadata = '{' WHERE id = %s", [broken])
        await app.commit()
        assert {(await worker.next_start()).run_id for _ in range(2)} == {before, after}
    told = await recorder.wait_for("outbox.refused", tenant_id=mapped, row_id=broken)
    assert "invalid input syntax for type json" in told.metadata["cause"]


async def test_two_engines_start_each_run_once(
    conninfo: str, mapped: UUID, engine: HatchetEngine, worker: FakeWorker
) -> None:
    async with engine_on(conninfo) as second, program(conninfo, mapped) as app:
        await app.execute(
            "SELECT hatchet_v1.enqueue_many('work', array_fill('{}'::jsonb, ARRAY[1200]))"
        )
        await app.commit()
        second.outbox.wake()
        engine.outbox.wake()
        await until_rows(lambda: not OutboxRow.objects.filter(tenant_id=mapped).exists())
    assert await with_django(lambda: Run.objects.filter(tenant_id=mapped).count()) == 1200


async def test_nothing_is_kept_between_transactions(
    conninfo: str, mapped: UUID, worker: FakeWorker
) -> None:
    """As behind a pooler in transaction mode, where each may meet another session."""
    async with await psycopg.AsyncConnection.connect(conninfo, prepare_threshold=None) as app:
        for number in range(2):
            await app.execute("SELECT set_config('hatchet.tenant', %s, true)", [str(mapped)])
            run_id = await enqueue(app, n=number)
            await app.commit()
            assert (await worker.next_start()).run_id == run_id
            await app.set_autocommit(True)
            await app.execute("DISCARD ALL")
            await app.set_autocommit(False)
