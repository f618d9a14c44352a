"""Every operation is told of once it has ended, on whichever connection it was driven."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from engine.errors import NotFound
from engine.ids import new_id
from engine.store import sync_db, workers
from engine.store.async_db import AsyncDatabase
from engine.store.query import (
    Operation,
    Query,
    breathe,
    fetch,
    fetch_all,
    fetch_last,
    repeatable,
)
from tests.recorder import Recorder, recording


def look(worker_id: UUID) -> Query[tuple[UUID, bool]]:
    return workers.beat([(worker_id, worker_id)], datetime.now(UTC))


def look_twice(worker_id: UUID) -> Operation[str]:
    yield from fetch(look(worker_id))
    yield from breathe()
    yield from fetch_all(look(worker_id), look(worker_id))
    return "done"


def refuse(worker_id: UUID) -> Operation[str]:
    yield from fetch(look(worker_id))
    raise NotFound("no such worker")


def break_off(worker_id: UUID) -> Operation[str]:
    yield from fetch(look(worker_id))
    raise psycopg.OperationalError("the server closed the connection")


def lose_a_race(worker_id: UUID) -> Operation[str]:
    yield from fetch(look(worker_id))
    raise psycopg.errors.DeadlockDetected("another was first")


@repeatable
def begin_anew(worker_id: UUID) -> Operation[str]:
    yield from fetch_last(look(worker_id))
    return "done"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording("database.operation") as heard:
        yield heard


ENDS = pytest.mark.parametrize(
    ("operation", "outcome", "error", "sizes"),
    [
        (look_twice, "committed", "", (2, 3)),
        (begin_anew, "committed", "", (1, 1)),
        (refuse, "rolled back", "NotFound", (1, 1)),
        (lose_a_race, "rolled back", "DeadlockDetected", (1, 1)),
        (break_off, "outage", "OperationalError", (1, 1)),
    ],
)
MakeOperation = Callable[[UUID], Operation[str]]


def check(recorder: Recorder, name: str, outcome: str, error: str, sizes: tuple[int, int]) -> None:
    (told,) = recorder.named("database.operation", operation=name)
    assert (told.metadata["outcome"], told.metadata["error"]) == (outcome, error)
    assert (told.measurements["round_trips"], told.measurements["statements"]) == sizes


@pytest.fixture
async def database(conninfo: str) -> AsyncIterator[AsyncDatabase]:
    database = AsyncDatabase(conninfo)
    await database.open()
    yield database
    await database.close()


@ENDS
async def test_the_engines_connection(
    database: AsyncDatabase,
    recorder: Recorder,
    operation: MakeOperation,
    outcome: str,
    error: str,
    sizes: tuple[int, int],
) -> None:
    await asyncio.gather(database.run(operation(new_id())), return_exceptions=True)
    check(recorder, operation.__name__, outcome, error, sizes)


@ENDS
def test_djangos_connection(
    db: None,
    recorder: Recorder,
    operation: MakeOperation,
    outcome: str,
    error: str,
    sizes: tuple[int, int],
) -> None:
    with suppress(NotFound, psycopg.Error):
        sync_db.run(operation(new_id()))
    check(recorder, operation.__name__, outcome, error, sizes)


async def test_a_single_query_is_told_of_by_its_name(
    database: AsyncDatabase, recorder: Recorder
) -> None:
    await database.fetch(look(new_id()))
    check(recorder, "worker.beat", "committed", "", (1, 1))


async def test_a_server_that_is_not_there_is_an_outage(
    database: AsyncDatabase, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_timeout: float | None = None) -> None:
        raise psycopg.OperationalError("no server")

    monkeypatch.setattr(database._pool, "getconn", fail)
    await asyncio.gather(database.run(look_twice(new_id())), return_exceptions=True)
    check(recorder, "look_twice", "outage", "OperationalError", (0, 0))


async def test_one_whose_caller_goes_away_is_cancelled(
    database: AsyncDatabase, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_asked = asyncio.Event()

    async def wait(_timeout: float | None = None) -> None:
        is_asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(database._pool, "getconn", wait)
    running = asyncio.create_task(database.run(look_twice(new_id())))
    await is_asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    check(recorder, "look_twice", "cancelled", "CancelledError", (0, 0))
