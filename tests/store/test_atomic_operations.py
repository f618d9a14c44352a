"""An operation that does not reach its end leaves nothing behind, whatever ended it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from engine.errors import AlreadyWritten
from engine.ids import new_id
from engine.store import events
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation, fetch
from engine.types import EventRecord

TENANT = UUID(int=1)


@pytest.fixture
async def database(conninfo: str) -> AsyncIterator[AsyncDatabase]:
    database = AsyncDatabase(conninfo, max_size=2)
    await database.open()
    yield database
    await database.close()


def write(event_id: UUID) -> Operation[None]:
    now = datetime.now(UTC)
    record = EventRecord(event_id, "atomic", b"{}", None, None, now)
    yield from fetch(events.insert(TENANT, [record], [None], now))


def count(conninfo: str, event_id: UUID) -> int:
    with psycopg.connect(conninfo) as other:
        query = "SELECT count(*) FROM engine_event WHERE id = %s"
        row = other.execute(query, [event_id]).fetchone()
    return int(row[0]) if row else 0


async def test_a_whole_operation_is_kept(database: AsyncDatabase, conninfo: str) -> None:
    event_id = new_id()
    await database.run(write(event_id))
    assert count(conninfo, event_id) == 1


async def test_an_operation_that_raises_is_taken_back(
    database: AsyncDatabase, conninfo: str
) -> None:
    event_id = new_id()

    def operation() -> Operation[None]:
        yield from write(event_id)
        raise LookupError

    for _ in range(5):
        with pytest.raises(LookupError):
            await database.run(operation())
    assert count(conninfo, event_id) == 0
    await database.run(write(event_id))
    assert count(conninfo, event_id) == 1, "the connection is of no use afterwards"


async def test_an_operation_the_database_refuses_is_taken_back(
    database: AsyncDatabase, conninfo: str
) -> None:
    first, twice = new_id(), new_id()
    await database.run(write(twice))

    def operation() -> Operation[None]:
        yield from write(first)
        yield from write(twice)

    with pytest.raises(AlreadyWritten):
        await database.run(operation())
    assert count(conninfo, first) == 0


async def test_a_cancelled_operation_is_taken_back(database: AsyncDatabase, conninfo: str) -> None:
    first, second = new_id(), new_id()

    def operation() -> Operation[None]:
        yield from write(first)
        asyncio.get_running_loop().call_soon(running.cancel)
        yield from write(second)

    running = asyncio.create_task(database.run(operation()))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (count(conninfo, first), count(conninfo, second)) == (0, 0)
    await database.run(write(second))
    assert count(conninfo, second) == 1
