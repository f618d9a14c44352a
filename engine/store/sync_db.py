"""Runs operations on Django's own connection, inside the caller's transaction if there is one.

That makes enqueueing transactional: within `transaction.atomic()` runs start if and only if the
business data beside them commits.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import connection, transaction

from engine.store.query import Operation, statements

Result = TypeVar("Result")


def run(operation: Operation[Result]) -> Result:
    """Drive `operation` in one transaction (a savepoint inside an open one); return its result."""
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
