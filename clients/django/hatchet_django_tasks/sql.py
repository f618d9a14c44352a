"""The way over the database that Django and Hatchet share: `hatchet_v1`, in the caller's own transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connections, transaction

from hatchet_django_tasks.wishes import Attempt, Found, Wish

_ENQUEUE = """
SELECT hatchet_v1.enqueue(%s, %s::jsonb, priority => %s, metadata => %s::jsonb, run_after => %s)
"""
_COMPLETE = "SELECT hatchet_v1.complete(%s, %s, %s::jsonb)"
_RUN = """
SELECT r.status, r.metadata::text, r.input::text, t.output::text, r.created_at, r.started_at, r.finished_at
  FROM hatchet_v1.runs r LEFT JOIN hatchet_v1.tasks t ON t.id = r.id WHERE r.id = %s
"""
_ATTEMPTS = """
SELECT started_at, worker_id::text, error FROM hatchet_v1.attempts
 WHERE run_id = %s AND task_id = %s AND started_at IS NOT NULL ORDER BY retry_count
"""
_WAITING = """
SELECT CASE WHEN failed_at IS NULL THEN 'QUEUED' ELSE 'NOT_STARTED' END, metadata::text, data::text, created_at,
       failed_at, failure
  FROM hatchet_v1.outbox WHERE id = %s AND kind = 'ENQUEUE'
"""


class SqlTransport:
    """`tenant` is needed where the role of the connection may act for several."""

    def __init__(self, database: str, tenant: str | None) -> None:
        self.database, self._tenant = database, tenant

    def enqueue(self, wish: Wish) -> str:
        given = [
            wish.workflow,
            json.dumps(wish.input),
            wish.priority,
            json.dumps(wish.metadata),
            wish.run_after,
        ]
        with self._cursor() as cursor:
            cursor.execute(_ENQUEUE, given)
            return str(cursor.fetchone()[0])

    def complete(self, task_id: str, retry_count: int, output: dict[str, Any]) -> None:
        """Complete a task with the transaction that is open."""
        with self._cursor() as cursor:
            cursor.execute(_COMPLETE, [task_id, retry_count, json.dumps(output)])

    def find(self, result_id: str) -> Found | None:
        try:
            run_id = UUID(result_id)
        except ValueError:
            return None
        with self._cursor() as cursor:
            # In this order: what an engine takes in between has become a run.
            cursor.execute(_WAITING, [run_id])
            if (waiting := cursor.fetchone()) is not None:
                return _waiting(waiting)
            cursor.execute(_RUN, [run_id])
            run = cursor.fetchone()
            if run is None:
                return None
            cursor.execute(_ATTEMPTS, [run_id, run_id])
            attempts = [Attempt(*row) for row in cursor.fetchall()]
        status, metadata, given, output, enqueued_at, started_at, finished_at = run
        return Found(
            status=status,
            metadata=_parsed(metadata),
            input=_parsed(given),
            output=_parsed(output),
            enqueued_at=enqueued_at,
            started_at=started_at,
            finished_at=finished_at,
            attempts=attempts,
        )

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A setting for one transaction holds whatever pooler is in between."""
        connection = connections[self.database]
        if self._tenant is None:
            with connection.cursor() as cursor:
                yield cursor
            return
        with transaction.atomic(using=self.database), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('hatchet.tenant', %s, true)", [self._tenant])
            yield cursor


def _waiting(row: Any) -> Found:
    """A run that no engine has started yet, or that none could start."""
    status, metadata, given, enqueued_at, failed_at, failure = row
    return Found(
        status=status,
        metadata=_parsed(metadata),
        input=_parsed(given),
        enqueued_at=enqueued_at,
        finished_at=failed_at,
        attempts=[Attempt(None, None, failure)] if failure else [],
    )


def _parsed(text: str | None) -> Any:
    return json.loads(text) if text else {}
