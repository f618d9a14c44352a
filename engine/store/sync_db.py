"""Runs operations on Django's own connection, inside the caller's transaction if there is one.

That makes enqueueing transactional: within `transaction.atomic()` runs start if and only if the
business data beside them commits.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import connection, transaction

from engine import telemetry
from engine.domain.cel.answers import Answers, Unanswered
from engine.sandbox import pool
from engine.store.query import Operation, Repeatable, insisting, statements
from engine.store.spans import watched

Result = TypeVar("Result")


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
    if not telemetry.hears("database.operation"):
        return _transact(operation)
    with watched(operation) as driven:
        return _transact(driven)


def _transact(operation: Operation[Result]) -> Result:
    texts = statements()
    with transaction.atomic(), connection.cursor() as cursor:
        try:
            queries = next(operation)
            while True:
                results = []
                for query in queries:
                    cursor.execute(texts[query.name], query.params)
                    results.append([query.row(*row) for row in cursor.fetchall()])
                queries = operation.send(results)
        except StopIteration as stop:
            result: Result = stop.value
            return result
