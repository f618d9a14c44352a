"""An operation is one transaction on the engine's pool, whatever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio

from engine.errors import NotFound, Unavailable
from engine.ids import new_id
from engine.states import PayloadKind
from engine.store import payloads, workflows
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


async def test_a_connection_serves_on_after_a_refused_statement(conninfo: str) -> None:
    database = AsyncDatabase(conninfo, max_size=2)
    await database.open()
    twice = NewPayload(new_id(), PayloadKind.INPUT, b"{}")
    for _ in range(5):
        with pytest.raises(psycopg.errors.CardinalityViolation):
            await database.fetch(payloads.insert([twice, twice]))
        owner = new_id()
        await database.fetch(write(owner))
        assert await exists(conninfo, owner)
    await database.close()


async def test_more_than_the_socket_holds_goes_through(
    database: AsyncDatabase, conninfo: str
) -> None:
    owners = [new_id() for _ in range(3)]

    def operation() -> Operation[None]:
        yield from fetch_last(*[write(owner, bytes(8_000_000)) for owner in owners])

    await asyncio.wait_for(database.run(operation()), 30)
    assert all([await exists(conninfo, owner) for owner in owners])


async def test_a_killed_connection_is_an_error_and_then_replaced(
    database: AsyncDatabase, conninfo: str
) -> None:
    await database.fetch(write(new_id()))
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as other:
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'hatchet-engine' AND datname = current_database()"
        )
    failures = 0
    owner = new_id()
    while not await exists(conninfo, owner):
        try:
            await database.fetch(write(owner))
        except Unavailable:
            failures += 1
            assert failures < 20
    assert failures > 0


async def test_operations_side_by_side_do_not_mix(database: AsyncDatabase) -> None:
    owners = [new_id() for _ in range(50)]

    def operation(owner: UUID) -> Operation[list[UUID]]:
        yield from fetch(write(owner))
        return (yield from fetch(workflows.delete(owner, owner, datetime.now(UTC))))

    found = await asyncio.gather(*[database.run(operation(owner)) for owner in owners])
    assert found == [[]] * 50


async def test_a_value_that_cannot_be_sent_leaves_the_connection_usable(conninfo: str) -> None:
    database = AsyncDatabase(conninfo, max_size=2)
    await database.open()
    for _ in range(5):
        with pytest.raises(UnicodeEncodeError):
            await database.fetch(workflows.touch(new_id(), "\ud800", datetime.now(UTC)))
        owner = new_id()
        await database.fetch(write(owner))
        assert await exists(conninfo, owner)
    await database.close()


@pytest.mark.parametrize("ending", ["fetch", "fetch_last"])
async def test_a_connection_that_ends_in_the_middle_is_an_error(
    database: AsyncDatabase, conninfo: str, ending: str
) -> None:
    holder = await psycopg.AsyncConnection.connect(conninfo)
    taken = new_id()
    await holder.execute(
        "INSERT INTO engine_payload (owner_id, kind, attempt, data) VALUES (%s, 1, 0, '')", [taken]
    )

    def operation() -> Operation[None]:
        send = fetch_last if ending == "fetch_last" else fetch
        yield from send(write(taken))  # blocks on the other transaction's row

    running = asyncio.create_task(database.run(operation()))
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as other:
        ended = 0
        while not ended:
            await asyncio.sleep(0)
            cursor = await other.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'hatchet-engine' AND wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            (ended,) = await cursor.fetchone() or (0,)
    with pytest.raises(Unavailable):
        await running
    await holder.close()
