"""An operation is one transaction on the engine's pool, whatever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio

from engine.errors import NotFound
from engine.ids import new_id
from engine.states import PayloadKind
from engine.store import payloads
from engine.store.async_db import AsyncDatabase
from engine.store.payloads import NewPayload
from engine.store.query import Operation, Query, fetch, fetch_last


@pytest_asyncio.fixture
async def database(conninfo: str) -> AsyncIterator[AsyncDatabase]:
    database = AsyncDatabase(conninfo)
    await database.open()
    yield database
    await database.close()


def write(owner_id: UUID, data: bytes = b"{}") -> Query[None]:
    return payloads.insert([NewPayload(owner_id, PayloadKind.INPUT, data)])


async def exists(conninfo: str, owner_id: UUID) -> bool:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute(
            "SELECT 1 FROM engine_payload WHERE owner_id = %s", [owner_id]
        )
        return await cursor.fetchone() is not None


async def test_an_operation_commits_all_it_wrote(database: AsyncDatabase, conninfo: str) -> None:
    first, second = new_id(), new_id()

    def operation() -> Operation[str]:
        yield from fetch(write(first))
        yield from fetch_last(write(second))
        return "done"

    assert await database.run(operation()) == "done"
    assert await exists(conninfo, first)
    assert await exists(conninfo, second)


@pytest.mark.parametrize("statements", [1, 2])
async def test_an_operation_that_gives_up_leaves_nothing(
    database: AsyncDatabase, conninfo: str, statements: int
) -> None:
    owners = [new_id() for _ in range(statements)]

    def operation() -> Operation[None]:
        for owner in owners:
            yield from fetch(write(owner))
        raise NotFound("no such parent")

    with pytest.raises(NotFound):
        await database.run(operation())
    assert not any([await exists(conninfo, owner) for owner in owners])


async def test_a_refused_statement_undoes_those_before_it(
    database: AsyncDatabase, conninfo: str
) -> None:
    owner = new_id()

    def operation() -> Operation[None]:
        yield from fetch(write(owner))
        twice = NewPayload(new_id(), PayloadKind.INPUT, b"{}")
        yield from fetch_last(payloads.insert([twice, twice]))

    with pytest.raises(psycopg.errors.CardinalityViolation):
        await database.run(operation())
    assert not await exists(conninfo, owner)


async def test_a_cancelled_caller_leaves_nothing(database: AsyncDatabase, conninfo: str) -> None:
    owner = new_id()
    holder = await psycopg.AsyncConnection.connect(conninfo)
    taken = new_id()
    await holder.execute(
        "INSERT INTO engine_payload (owner_id, kind, attempt, data) VALUES (%s, 1, 0, '')", [taken]
    )
    waits = asyncio.Event()

    def operation() -> Operation[None]:
        yield from fetch(write(owner))
        waits.set()
        yield from fetch(write(taken))  # blocks on the other transaction's row

    caller = asyncio.create_task(database.run(operation()))
    await waits.wait()
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    await holder.rollback()
    await holder.close()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not await exists(conninfo, owner)


async def test_an_operation_may_not_go_on_after_its_last_queries(
    database: AsyncDatabase,
) -> None:
    def operation() -> Operation[None]:
        yield from fetch_last(write(new_id()))
        yield from fetch(write(new_id()))

    with pytest.raises(RuntimeError, match="after its last queries"):
        await database.run(operation())
