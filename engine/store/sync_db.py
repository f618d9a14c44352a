"""Runs operations on Django's own connection, inside the caller's transaction if there is one.

That makes enqueueing transactional: within `transaction.atomic()` runs start if and only if the
business data beside them commits. What operations change is notified from within that transaction too.
"""

from __future__ import annotations

from contextlib import closing
from typing import TypeVar

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from engine import telemetry
from engine.domain.cel.answers import Answers, Unanswered
from engine.sandbox import pool
from engine.store.changes import Changes
from engine.store.hints import messages_of, notify
from engine.store.query import Operation, Query, Repeatable, insisting, statements
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


def _drive(operation: Operation[Result]) -> Result:
    if not telemetry.is_heard("database.operation"):
        return _transact(operation)
    with watched(operation) as driven:
        return _transact(driven)


def _transact(operation: Operation[Result]) -> Result:
    """Run the operation's queries, and then notify those who must know what it changed.

    One that fails is closed, so that it lets go of what it holds.
    """
    changes = Changes()
    with closing(operation), transaction.atomic(), connection.cursor() as cursor:
        try:
            step = next(operation)
            while True:
                if isinstance(step, Changes):
                    changes.add(step)
                    step = operation.send(())
                else:
                    step = operation.send([_fetch(cursor, query) for query in step])
        except StopIteration as stop:
            if messages := messages_of(changes):
                _fetch(cursor, notify(messages))
            result: Result = stop.value
            return result


def _fetch(cursor: CursorWrapper, query: Query[Row]) -> list[Row]:
    cursor.execute(statements()[query.name], query.params)
    return [query.row(*row) for row in cursor.fetchall()]
