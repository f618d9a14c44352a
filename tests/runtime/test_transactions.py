"""An operation on the engine's pool is one transaction: all of it is written, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from engine.errors import AlreadyWritten
from engine.ids import new_id
from engine.store import workers, workflows
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation, Query, fetch, no_row
from engine.types import WorkerRegistration

REGISTRATION = WorkerRegistration("one", ("a:b",), {"default": 1}, {})


@pytest.fixture
async def database(conninfo: str) -> AsyncIterator[AsyncDatabase]:
    database = AsyncDatabase(conninfo, max_size=2)
    await database.open()
    yield database
    await database.close()


def register(tenant_id: UUID, worker_id: UUID) -> Query[UUID]:
    return workers.insert(worker_id, tenant_id, REGISTRATION, datetime.now(UTC))


async def exists(database: AsyncDatabase, tenant_id: UUID, worker_id: UUID) -> bool:
    return bool(await database.fetch(workers.by_ids(tenant_id, [worker_id])))


async def test_an_error_in_the_operation_undoes_what_it_wrote(
    database: AsyncDatabase, tenant_id: UUID
) -> None:
    worker_id = new_id()

    def fails_after_writing() -> Operation[None]:
        yield from fetch(register(tenant_id, worker_id))
        raise LookupError

    with pytest.raises(LookupError):
        await database.run(fails_after_writing())
    assert not await exists(database, tenant_id, worker_id)


async def test_an_error_of_the_database_undoes_what_came_before(
    database: AsyncDatabase, tenant_id: UUID
) -> None:
    worker_id = new_id()

    def writes_twice() -> Operation[None]:
        yield from fetch(register(tenant_id, worker_id))
        yield from fetch(register(tenant_id, worker_id))

    with pytest.raises(AlreadyWritten, match="duplicate key"):
        await database.run(writes_twice())
    assert not await exists(database, tenant_id, worker_id)


async def test_only_ids_of_our_own_say_that_something_was_done_before(
    database: AsyncDatabase, tenant_id: UUID
) -> None:
    """A name that is taken is refused by another constraint: that is no answer that was lost."""

    def names_twice() -> Operation[None]:
        now = datetime.now(UTC)
        for workflow_id in (new_id(), new_id()):
            yield from fetch(
                workflows.insert(workflow_id, tenant_id, name="taken", description="", now=now)
            )

    with pytest.raises(psycopg.errors.UniqueViolation):
        await database.run(names_twice())


async def test_a_caller_that_goes_away_undoes_what_was_written(
    database: AsyncDatabase, tenant_id: UUID
) -> None:
    worker_id = new_id()
    has_written = asyncio.Event()

    def writes_then_waits() -> Operation[None]:
        yield from fetch(register(tenant_id, worker_id))
        has_written.set()
        yield from fetch(Query("hint.notify", {"channels": [], "payloads": []}, no_row))

    running = asyncio.create_task(database.run(writes_then_waits()))
    await has_written.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not await exists(database, tenant_id, worker_id)


async def test_the_connection_is_as_good_as_new_after_an_error(
    database: AsyncDatabase, tenant_id: UUID
) -> None:
    def fails() -> Operation[None]:
        yield from fetch(register(tenant_id, new_id()))
        raise LookupError

    worker_id = new_id()
    for _ in range(4):
        with pytest.raises(LookupError):
            await database.run(fails())
    await database.fetch(register(tenant_id, worker_id))
    assert await exists(database, tenant_id, worker_id)
