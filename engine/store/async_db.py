"""Runs operations on the engine's own connection pool: async, pipelined, binary."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool

from engine import telemetry
from engine.domain.cel.answers import Answers, Unanswered, current_answers
from engine.errors import LeaseLost
from engine.sandbox.pool import answer_async
from engine.store.changes import Changes
from engine.store.failures import named
from engine.store.pipeline import Pipeline
from engine.store.placing import Placer
from engine.store.query import Operation, Query, Repeatable, called, fetch_last, insisting
from engine.store.spans import watched

log = logging.getLogger("hatchet.engine")

Result = TypeVar("Result")
Row = TypeVar("Row")

# Statements are prepared once and reach their rows by key, so one generic plan serves them all.
CONNECTION_OPTIONS = "-c plan_cache_mode=force_generic_plan -c jit=off"

_MOST_LEASES_LOST = 3
"""What was placed under a lease that is lost is placed anew; its placer knows then."""
_CONNECTION = {
    "autocommit": True,
    "application_name": "hatchet-engine",
    "options": CONNECTION_OPTIONS,
}


class _Connection(psycopg.AsyncConnection[Any]):
    """A pooled connection that keeps the pipeline driving it."""

    pipelined: Pipeline | None = None


class AsyncDatabase:
    """A pool of connections; `run` drives one operation in one transaction.

    What an operation changed goes to `on_committed`, once, before `run` returns. Without it operations
    that change something are refused, for nobody would learn of that.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        max_size: int = 8,
        on_committed: Callable[[Changes], None] | None = None,
    ) -> None:
        self.conninfo = conninfo
        self._on_committed = on_committed
        self._placer: Placer | None = None
        self._deliver = self._deliver_safely if on_committed else None
        self._pool = AsyncConnectionPool(
            conninfo,
            connection_class=_Connection,
            min_size=2,
            max_size=max_size,
            open=False,
            timeout=10,
            kwargs=_CONNECTION,
        )

    def ask(self, placer: Placer) -> None:
        """Ask `placer` where new attempts may run; until then none is placed."""
        self._placer = placer

    async def open(self) -> None:
        await self._pool.open(wait=True, timeout=30)

    async def close(self) -> None:
        await self._pool.close()

    def pool_stats(self) -> Mapping[str, int]:
        """Tell how many connections there are and are free, how many wait for one, and what it came to so far."""
        return self._pool.get_stats()

    async def run(self, operation: Operation[Result]) -> Result:
        """Drive `operation` in one transaction; return its result once that has committed.

        Costly expressions are evaluated between two attempts, without a connection: here, or by the
        caller if it has `Answers` open, which gets Unanswered then.

        Unavailable, and what is below it in errors.py: the database was away, or others were first.
        InvalidArgument: it cannot take a value.
        """
        for attempt in range(_MOST_LEASES_LOST):
            try:
                return await self._run(operation)
            except (psycopg.Error, OSError) as error:
                failure = named(error)
                if failure is None:
                    raise
                is_repeated = isinstance(failure, LeaseLost) and isinstance(operation, Repeatable)
                if not is_repeated or attempt == _MOST_LEASES_LOST - 1:
                    raise failure from error
        raise AssertionError

    async def _run(self, operation: Operation[Result]) -> Result:
        if (answers := current_answers()) is not None:
            return await self._drive(insisting(operation, answers))
        if not isinstance(operation, Repeatable):
            return await self._drive(operation)
        answers = Answers()
        while True:
            try:
                with answers:
                    return await self._drive(insisting(operation, answers))
            except Unanswered:
                await answer_async(answers)

    async def _drive(self, operation: Operation[Result]) -> Result:
        if not telemetry.is_heard("database.operation"):
            return await self._transact(operation)
        with watched(operation) as driven:
            return await self._transact(driven)

    async def _transact(self, operation: Operation[Result]) -> Result:
        connection = await self._pool.getconn()
        try:
            if connection.pipelined is None:
                connection.pipelined = Pipeline(connection)
            return await connection.pipelined.run(operation, self._deliver, self._placer)
        finally:
            await self._pool.putconn(connection)

    def _deliver_safely(self, changes: Changes) -> None:
        """Have what was committed acted on; the operation has succeeded, whatever becomes of that."""
        assert self._on_committed is not None
        try:
            self._on_committed(changes)
        except Exception:
            log.exception("what follows a commit was not done")

    async def fetch(self, query: Query[Row]) -> list[Row]:
        """Run one query by itself, in one round trip."""
        return await self.run(called(query.name, _only(query)))


def _only(query: Query[Row]) -> Operation[list[Row]]:
    (rows,) = yield from fetch_last(query)
    return rows
