"""Runs operations on the engine's own connection pool: async, pipelined, binary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool

from engine.store.binary import Prepared, array_dumpers, prepare
from engine.store.query import Last, Operation, Query, statements

Result = TypeVar("Result")
Row = TypeVar("Row")

_CONNECTION = {
    "autocommit": True,
    "prepare_threshold": 1,
    "application_name": "hatchet-engine",
    # Statements are prepared once and reach their rows by key, so one generic plan serves them all.
    "options": "-c plan_cache_mode=force_generic_plan -c jit=off",
}


class AsyncDatabase:
    """A pool of connections; `run` drives one operation in one transaction."""

    def __init__(self, conninfo: str, *, max_size: int = 8) -> None:
        self.conninfo = conninfo
        self._pool = AsyncConnectionPool(
            conninfo,
            min_size=2,
            max_size=max_size,
            open=False,
            timeout=10,
            kwargs=_CONNECTION,
            configure=_configure,
        )

    async def open(self) -> None:
        await self._pool.open(wait=True, timeout=30)

    async def close(self) -> None:
        await self._pool.close()

    async def run(self, operation: Operation[Result]) -> Result:
        """Drive `operation` in one transaction; return its result once that has committed.

        A pipeline is one implicit transaction: it begins with the first statement and commits with the
        sync at its end, which saves BEGIN and COMMIT (65 instead of 100 us of CPU for one statement).
        """
        async with self._pool.connection() as connection:
            async with connection.pipeline():
                try:
                    step = await _drive(connection, operation)
                except BaseException:
                    # The pipeline's end would commit what was written before we gave up.
                    await psycopg.AsyncRawCursor(connection).execute("ROLLBACK")
                    raise
            if not isinstance(step, _Unread):
                return step
            # What was sent last has committed with the pipeline's end.
            try:
                operation.send([_build(q, await c.fetchall()) for q, c in step.sent])
            except StopIteration as stop:
                result: Result = stop.value
                return result
            raise RuntimeError("an operation went on after its last queries")

    async def fetch(self, query: Query[Row]) -> list[Row]:
        """Run one query by itself: half the cost of an operation that fetches only it."""
        async with self._pool.connection() as connection:
            return _build(query, await (await _send(connection, query)).fetchall())


async def _send(
    connection: psycopg.AsyncConnection[Any], query: Query[Any]
) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    statement = _prepared()[query.name]
    cursor = psycopg.AsyncRawCursor(connection)
    await cursor.execute(statement.text, statement.values(query.params), binary=True)
    return cursor


@cache
def _prepared() -> dict[str, Prepared]:
    return {name: prepare(text) for name, text in statements().items()}


async def _configure(connection: psycopg.AsyncConnection[Any]) -> None:
    for array, dumper in array_dumpers():
        connection.adapters.register_dumper(array, dumper)


@dataclass(frozen=True, slots=True)
class _Unread:
    """The last queries of an operation, sent but not waited for."""

    sent: list[tuple[Query[Any], psycopg.AsyncCursor[tuple[Any, ...]]]]


async def _drive(
    connection: psycopg.AsyncConnection[Any], operation: Operation[Result]
) -> Result | _Unread:
    try:
        queries = next(operation)
        while True:
            sent = [(query, await _send(connection, query)) for query in queries]
            if isinstance(queries, Last):
                return _Unread(sent)
            queries = operation.send([_build(q, await c.fetchall()) for q, c in sent])
    except StopIteration as stop:
        result: Result = stop.value
        return result


def _build(query: Query[Any], rows: list[tuple[Any, ...]]) -> list[Any]:
    build = query.row
    return [build(*row) for row in rows]
