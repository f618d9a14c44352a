"""What an operation changed is acted on once if it committed, and never if it did not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from engine.domain.cel.answers import Unanswered
from engine.errors import NotFound
from engine.ids import new_id
from engine.states import PayloadKind
from engine.store import payloads, pipeline, sync_db
from engine.store.async_db import AsyncDatabase
from engine.store.changes import Changes
from engine.store.hints import ENGINE_CHANNEL, notify, parse
from engine.store.payloads import NewPayload
from engine.store.pipeline import Pipeline
from engine.store.query import Operation, Query, fetch, fetch_last, repeatable

TENANT = UUID(int=7)
PATIENCE_SECONDS = 60.0
ENDINGS = pytest.mark.parametrize("ending", [fetch, fetch_last])
Ending = Callable[[Query[None]], Operation[object]]


@pytest.fixture
def applied() -> list[Changes]:
    return []


@pytest.fixture
async def database(conninfo: str, applied: list[Changes]) -> AsyncIterator[AsyncDatabase]:
    database = AsyncDatabase(conninfo, max_size=2, on_committed=applied.append)
    await database.open()
    yield database
    await database.close()


def write(owner_id: UUID) -> Query[None]:
    return payloads.insert([NewPayload(owner_id, PayloadKind.INPUT, b"{}")])


def exists(conninfo: str, owner_id: UUID) -> bool:
    with psycopg.connect(conninfo) as other:
        query = "SELECT FROM engine_payload WHERE owner_id = %s"
        return other.execute(query, [owner_id]).fetchone() is not None


def change(ending: Ending, owner_id: UUID) -> Operation[str]:
    """Change something before the last queries and after them."""
    yield Changes(created=[(owner_id, owner_id)])
    yield from ending(write(owner_id))
    yield Changes(created=[(owner_id, TENANT)], wakes_clock=True)
    return "done"


def changed(owner_id: UUID) -> Changes:
    return Changes(created=[(owner_id, owner_id), (owner_id, TENANT)], wakes_clock=True)


@ENDINGS
async def test_what_committed_is_acted_on_before_the_caller_goes_on(
    database: AsyncDatabase, applied: list[Changes], ending: Ending
) -> None:
    owner_id = new_id()
    assert await database.run(change(ending, owner_id)) == "done"
    assert applied == [changed(owner_id)]


async def test_an_operation_that_changes_nothing_has_nothing_acted_on(
    database: AsyncDatabase, applied: list[Changes]
) -> None:
    await database.fetch(write(new_id()))
    assert applied == []


async def test_an_operation_that_fails_has_nothing_acted_on(
    database: AsyncDatabase, applied: list[Changes], conninfo: str
) -> None:
    owner_id = new_id()

    def operation() -> Operation[None]:
        yield from change(fetch, owner_id)
        raise NotFound("no such parent")

    with pytest.raises(NotFound):
        await database.run(operation())
    assert applied == []
    assert not exists(conninfo, owner_id)


@ENDINGS
async def test_an_operation_the_database_refuses_has_nothing_acted_on(
    database: AsyncDatabase, applied: list[Changes], ending: Ending
) -> None:
    twice = NewPayload(new_id(), PayloadKind.INPUT, b"{}")

    def operation() -> Operation[None]:
        yield Changes(wakes_clock=True)
        yield from ending(payloads.insert([twice, twice]))

    with pytest.raises(psycopg.errors.CardinalityViolation):
        await database.run(operation())
    assert applied == []


def cancel_at(number: int, cancel: Callable[[], object], patch: pytest.MonkeyPatch) -> None:
    """Have the caller cancelled, three times, while it waits for what it sent in this order."""
    sent, flush = 0, Pipeline._flush

    async def flush_and_cancel(self: Pipeline) -> None:
        nonlocal sent
        sent += 1
        await flush(self)
        for _ in range(3 if sent == number else 0):
            asyncio.get_running_loop().call_soon(cancel)

    patch.setattr(Pipeline, "_flush", flush_and_cancel)


def sessions(conninfo: str) -> list[tuple[int]]:
    query = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'hatchet-engine'"
        " AND datname = current_database() ORDER BY 1"
    )
    with psycopg.connect(conninfo) as other:
        return other.execute(query).fetchall()


@pytest.mark.parametrize(("ending", "commit"), [(fetch, 2), (fetch_last, 1)])
async def test_a_caller_that_is_cancelled_during_the_commit_keeps_it_from_nobody(
    database: AsyncDatabase,
    applied: list[Changes],
    conninfo: str,
    ending: Ending,
    commit: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner_id = new_id()
    with monkeypatch.context() as patch:
        cancel_at(commit, lambda: caller.cancel(), patch)  # noqa: PLW0108  # made below
        caller = asyncio.create_task(database.run(change(ending, owner_id)))
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert applied == [changed(owner_id)]
    assert exists(conninfo, owner_id)
    await database.run(change(ending, new_id()))
    assert len(applied) == 2


async def test_a_caller_that_is_cancelled_before_leaves_nothing_but_its_connection(
    database: AsyncDatabase,
    applied: list[Changes],
    conninfo: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, owner_id = sessions(conninfo), new_id()
    with monkeypatch.context() as patch:
        cancel_at(1, lambda: caller.cancel(), patch)  # noqa: PLW0108  # made below
        caller = asyncio.create_task(database.run(change(fetch, owner_id)))
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert applied == []
    assert not exists(conninfo, owner_id)
    await asyncio.gather(*(database.run(change(fetch, new_id())) for _ in range(4)))
    assert sessions(conninfo) == before, "a new connection had to be made"


@ENDINGS
async def test_an_answer_that_takes_too_long_is_not_waited_for_by_who_is_cancelled(
    database: AsyncDatabase,
    applied: list[Changes],
    conninfo: str,
    ending: Ending,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "CANCEL_SECONDS", 0.01)
    taken = new_id()
    cancel_at(1, lambda: caller.cancel(), monkeypatch)  # noqa: PLW0108  # made below
    async with await psycopg.AsyncConnection.connect(conninfo) as holder:
        await holder.execute(
            "INSERT INTO engine_payload (owner_id, kind, attempt, data) VALUES (%s, 1, 0, '')",
            [taken],
        )
        caller = asyncio.create_task(database.run(change(ending, taken)))
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await caller
        await holder.rollback()
    assert applied == []


@repeatable
def begun_twice(owner_id: UUID, begun: list[UUID]) -> Operation[None]:
    begun.append(owner_id)
    yield from change(fetch, owner_id)
    if len(begun) == 1:
        raise Unanswered


async def test_an_attempt_that_is_repeated_does_not_double(
    database: AsyncDatabase, applied: list[Changes]
) -> None:
    owner_id, begun = new_id(), list[UUID]()
    await database.run(begun_twice(owner_id, begun))
    assert len(begun) == 2
    assert applied == [changed(owner_id)]


async def test_what_follows_may_fail_but_not_the_operation(conninfo: str) -> None:
    def fail(_: Changes) -> None:
        raise KeyError("a bug")

    database = AsyncDatabase(conninfo, on_committed=fail)
    await database.open()
    assert await database.run(change(fetch_last, new_id())) == "done"
    await database.close()


async def test_changes_that_nobody_would_learn_of_are_refused(conninfo: str) -> None:
    database, owner_id = AsyncDatabase(conninfo), new_id()
    await database.open()
    with pytest.raises(RuntimeError, match="nobody"):
        await database.run(change(fetch, owner_id))
    await database.close()
    assert not exists(conninfo, owner_id)


# Django's side


class Listening:
    """Hears what is notified; a last notification of its own ends the wait."""

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo, autocommit=True)
        self._connection.execute(f"LISTEN {ENGINE_CHANNEL}")

    def heard(self) -> list[UUID]:
        end = new_id().hex
        self._connection.execute("SELECT pg_notify(%s, %s)", [ENGINE_CHANNEL, end])
        found: list[UUID] = []
        for notification in self._connection.notifies(timeout=PATIENCE_SECONDS):
            if notification.payload == end:
                return found
            hint = parse(notification.payload)
            found += hint.workers if hint.tenant_id == TENANT else []
        raise AssertionError("notifications do not arrive")

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def listening(conninfo: str) -> Iterator[Listening]:
    listening = Listening(conninfo)
    yield listening
    listening.close()


def change_worker(worker_id: UUID) -> Operation[UUID]:
    yield Changes(workers=[(TENANT, worker_id)])
    yield from fetch(write(worker_id))
    return worker_id


def test_a_change_is_notified_when_it_commits(listening: Listening) -> None:
    worker_id = new_id()
    with transaction.atomic():
        assert sync_db.run(change_worker(worker_id)) == worker_id
        assert listening.heard() == []
    assert listening.heard() == [worker_id]


def test_a_change_that_the_caller_rolls_back_is_not_notified(listening: Listening) -> None:
    with suppress(KeyError), transaction.atomic():
        sync_db.run(change_worker(new_id()))
        raise KeyError
    assert listening.heard() == []


def test_an_operation_that_fails_notifies_nobody_though_its_caller_goes_on(
    listening: Listening,
) -> None:
    def operation() -> Operation[None]:
        yield from change_worker(new_id())
        raise NotFound("no such worker")

    with transaction.atomic():
        with pytest.raises(NotFound):
            sync_db.run(operation())
        worker_id = sync_db.run(change_worker(new_id()))
    assert listening.heard() == [worker_id]


def test_notifications_come_after_the_last_query_and_need_one_statement(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    fetch_all = sync_db._fetch_all

    def noted(cursor: CursorWrapper, queries: Sequence[Query[Any]]) -> list[list[Any]]:
        names.extend(query.name for query in queries)
        return fetch_all(cursor, queries)

    monkeypatch.setattr(sync_db, "_fetch_all", noted)
    sync_db.run(change_worker(new_id()))
    assert names == ["payload.insert", notify([]).name]


def test_an_attempt_that_is_repeated_notifies_once(listening: Listening) -> None:
    begun: list[UUID] = []

    @repeatable
    def operation() -> Operation[None]:
        begun.append(new_id())
        yield from change_worker(begun[-1])
        if len(begun) == 1:
            raise Unanswered

    sync_db.run(operation())
    assert listening.heard() == [begun[1]]
