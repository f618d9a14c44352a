"""Runs operations on the engine's own connection pool: async, pipelined, binary."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool

from engine.store.query import Operation, Query, statements

Result = TypeVar("Result")

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
            conninfo, min_size=2, max_size=max_size, open=False, timeout=10, kwargs=_CONNECTION
        )

    async def open(self) -> None:
        await self._pool.open(wait=True, timeout=30)

    async def close(self) -> None:
        await self._pool.close()

    async def run(self, operation: Operation[Result]) -> Result:
        """Drive `operation` in one transaction; return its result once that has committed."""
        async with self._pool.connection() as connection:
            try:
                async with connection.pipeline():
                    await connection.cursor().execute("BEGIN")
                    result = await _drive(connection, operation)
                    await connection.cursor().execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):
                    await connection.rollback()
                raise
            return result


async def _drive(connection: psycopg.AsyncConnection[Any], operation: Operation[Result]) -> Result:
    texts = statements()
    try:
        queries = next(operation)
        while True:
            cursors = [connection.cursor(binary=True) for _ in queries]
            for cursor, query in zip(cursors, queries, strict=True):
                await cursor.execute(texts[query.name], query.params)
            queries = operation.send(
                [
                    _build(query, await cursor.fetchall())
                    for cursor, query in zip(cursors, queries, strict=True)
                ]
            )
    except StopIteration as stop:
        result: Result = stop.value
        return result


def _build(query: Query[Any], rows: list[tuple[Any, ...]]) -> list[Any]:
    build = query.row
    return [build(*row) for row in rows]
