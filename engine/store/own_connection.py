"""A connection of its own for what must be committed whatever becomes of the transaction around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import psycopg
from django.db import connection

from engine.store.failures import named
from engine.store.query import Query, statements

Row = TypeVar("Row")

_PARTS = ("host", "port", "user", "password", "dbname", "sslmode", "sslrootcert")
_CONNECT_SECONDS = 10


@contextmanager
def own_connection() -> Iterator[Callable[[Query[Any]], list[Any]]]:
    """Yield what runs one query, each in a transaction of its own, on the calling thread.

    Unavailable, and what else failures.py names: the database was away.
    """
    given = connection.get_connection_params()
    parts = {name: given[name] for name in _PARTS if given.get(name)}
    try:
        with psycopg.connect(**parts, autocommit=True, connect_timeout=_CONNECT_SECONDS) as opened:

            def fetch(query: Query[Any]) -> list[Any]:
                text = cast(Any, statements()[query.name])
                return [query.row(*row) for row in opened.execute(text, query.params)]

            yield fetch
    except (psycopg.Error, OSError) as error:
        failure = named(error)
        if failure is None:
            raise
        raise failure from error
