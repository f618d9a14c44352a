"""A kept connection that the server ended is noticed before it is used, without asking the server."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext


@contextmanager
def opened() -> Iterator[Any]:
    """A connection beside the test's own, and outside of its transaction."""
    other = connection.copy()
    other.connect()
    try:
        yield other
    finally:
        other.close()


@pytest.fixture
def kept(db: None) -> Iterator[Any]:
    with opened() as other:
        yield other


def execute(on: Any, statement: str, *parameters: object) -> Any:
    with on.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone()[0] if cursor.description else None


def begin_request(kept: Any) -> None:
    kept.close_if_unusable_or_obsolete()


def pid_of(kept: Any) -> Any:
    return execute(kept, "SELECT pg_backend_pid()")


def test_one_that_lives_is_kept_and_nothing_is_asked(kept: Any) -> None:
    before = pid_of(kept)
    begin_request(kept)
    with CaptureQueriesContext(kept) as captured:
        assert pid_of(kept) == before
    assert len(captured) == 1


def test_one_that_was_ended_is_replaced(kept: Any) -> None:
    before = pid_of(kept)
    # Returns when that process is gone.
    assert execute(connection, "SELECT pg_terminate_backend(%s, 60000)", before)
    begin_request(kept)
    assert pid_of(kept) != before


def test_something_to_read_is_no_end(kept: Any) -> None:
    before = pid_of(kept)
    execute(kept, "LISTEN something")
    with opened() as other:
        execute(other, "NOTIFY something")
    assert select.select([kept.connection.pgconn.socket], [], [], 60)[0]
    begin_request(kept)
    assert pid_of(kept) == before
