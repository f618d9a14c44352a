"""Runs operations on Django's own connection, inside the caller's transaction if there is one.

That makes enqueueing transactional: within `transaction.atomic()` runs start if and only if the
business data beside them commits. What operations change is notified from within that transaction too.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any, TypeVar, cast

import psycopg
from django.db import DatabaseError, connection, transaction
from django.db.backends.utils import CursorWrapper

from engine import telemetry
from engine.domain.cel.answers import Answers, Unanswered
from engine.errors import LimitReached
from engine.sandbox import pool
from engine.store import sealing
from engine.store.changes import Changes
from engine.store.failures import named
from engine.store.hints import messages_of, notify
from engine.store.placing import NO_PLACES, Wanting
from engine.store.query import Operation, Query, Repeatable, insisting, statements
from engine.store.sealed_columns import READ
from engine.store.spans import watched

Result = TypeVar("Result")
Row = TypeVar("Row")


def run(operation: Operation[Result]) -> Result:
    """Drive `operation` in one transaction (a savepoint inside an open one); return its result.

    Costly expressions are evaluated between two attempts, with nothing locked by this one.
    """
    is_repeatable = isinstance(operation, Repeatable)
    if not is_repeatable:
        return _drive(operation)
    answers = Answers()
    while True:
        try:
            with answers:
                return _drive(insisting(operation, answers))
        except Unanswered:
            pool.answer(answers)


def read(query: Query[Row]) -> list[Row]:
    """Run one query that changes nothing, without a transaction of its own."""
    with connection.cursor() as cursor:
        found: list[Row]
        (found,) = _fetch_all(cursor, [query])
        return found


def _drive(operation: Operation[Result]) -> Result:
    if not telemetry.is_heard("database.operation"):
        return _transact(operation)
    with watched(operation) as driven:
        return _transact(driven)


def _transact(operation: Operation[Result]) -> Result:
    """Run the operation's queries, and then notify those who must know what it changed.

    One that fails is closed, so that it lets go of what it holds.
    """
    try:
        return _step_through(operation)
    except DatabaseError as error:
        failure = named(error.__cause__) if isinstance(error.__cause__, psycopg.Error) else None
        if isinstance(failure, LimitReached):
            raise failure from error
        raise


def _step_through(operation: Operation[Result]) -> Result:
    changes = Changes()
    with closing(operation), transaction.atomic(), connection.cursor() as cursor:
        try:
            step = next(operation)
            while True:
                if isinstance(step, Changes):
                    changes.add(step)
                    step = operation.send(())
                elif isinstance(step, Wanting):
                    step = operation.send(cast(Any, NO_PLACES))
                else:
                    step = operation.send(_fetch_all(cursor, step))
        except StopIteration as stop:
            if messages := messages_of(changes):
                _fetch_all(cursor, [notify(messages)])
            result: Result = stop.value
            return result


def _fetch_all(cursor: CursorWrapper, queries: Sequence[Query[Any]]) -> list[list[Any]]:
    """Run queries in one round trip; as always with Django, parameters are put into their texts here."""
    if not queries:
        return []
    if (sealer := sealing.sealer()) is not None:
        queries = sealer.seal(queries)
    mogrify = cast(Any, cursor).mogrify
    cursor.execute(
        "\n;\n".join(mogrify(statements()[query.name], query.params) for query in queries)
    )
    found = []
    for query in queries:
        rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
        cursor.nextset()
        if sealer is not None and query.name in READ:
            rows = sealer.open(query, rows)
        found.append([query.row(*row) for row in rows])
    return found
