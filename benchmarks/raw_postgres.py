"""What Postgres alone needs for the rows of a task's life, written in batches by one plain connection.

The tables are the real ones, with their indexes, partitions and triggers; the statements are the
plainest that leave the same rows behind.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.processes import cpu_seconds
from engine.ids import new_id

SOME_ID = UUID(int=7)
INPUT, OUTPUT = b'{"sent":12345.678901}', b'{"ok":true}'
_CONNECTION = "-c plan_cache_mode=force_generic_plan -c jit=off"

_INSERT = (
    """INSERT INTO engine_run (id, tenant_id, workflow_id, version_id, status, is_dag, priority,
                               trigger, created_at, started_at)
       SELECT id, %(some)s, %(some)s, %(some)s, %(status)s, false, 1, 0, %(now)s,
              CASE WHEN %(status)s = 1 THEN %(now)s::timestamptz END
         FROM unnest(%(ids)s::uuid[]) AS u(id)""",
    """INSERT INTO engine_payload (owner_id, kind, attempt, data)
       SELECT id, 1, 0, %(input)s FROM unnest(%(ids)s::uuid[]) AS u(id)""",
    """INSERT INTO engine_task (id, tenant_id, run_id, workflow_id, version_id, step_id, action_id,
                                status, queue_priority, retry_count, app_retry_count,
                                internal_retry_count, worker_id, is_delayed, is_slot_released,
                                is_skipped, due_at, created_at, queued_at, assigned_at)
       SELECT id, %(some)s, id, %(some)s, %(some)s, %(some)s, 'raw:run', %(status)s, 1, 0, 0, 0,
              CASE WHEN %(status)s = 1 THEN %(some)s::uuid END, false, false, false,
              %(now)s::timestamptz + interval '1 hour', %(now)s, %(now)s,
              CASE WHEN %(status)s = 1 THEN %(now)s::timestamptz END
         FROM unnest(%(ids)s::uuid[]) AS u(id)""",
)
_LOG = """INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, worker_id, message)
          SELECT event_id, id, id, 0, %(kind)s, %(now)s, %(some)s, ''
            FROM unnest(%(event_ids)s::uuid[], %(ids)s::uuid[]) AS u(event_id, id)"""
_ASSIGN = (
    """UPDATE engine_task SET status = 1, worker_id = %(some)s, assigned_at = %(now)s,
              due_at = %(now)s::timestamptz + interval '1 minute' WHERE id = ANY(%(ids)s::uuid[])""",
    "UPDATE engine_run SET status = 1, started_at = %(now)s WHERE id = ANY(%(ids)s::uuid[])",
)
_START = ("UPDATE engine_task SET started_at = %(now)s WHERE id = ANY(%(ids)s::uuid[])",)
_COMPLETE = (
    """UPDATE engine_task SET status = 2, due_at = NULL, finished_at = %(now)s
        WHERE id = ANY(%(ids)s::uuid[])""",
    "UPDATE engine_run SET status = 2, finished_at = %(now)s WHERE id = ANY(%(ids)s::uuid[])",
    """INSERT INTO engine_payload (owner_id, kind, attempt, data)
       SELECT id, 2, 0, %(output)s FROM unnest(%(ids)s::uuid[]) AS u(id)""",
)


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """Rows per transaction of each phase; `assign` None when tasks are inserted assigned."""

    insert: int
    assign: int | None
    start: int
    complete: int


def measure_life_cycles(
    database_url: str, postgres_pid: int, sizes: BatchSizes, seconds: float
) -> dict[str, float]:
    """Return life cycles per second of one connection, and Postgres CPU microseconds for each."""
    group = max(sizes.insert, sizes.assign or 1, sizes.start, sizes.complete)
    with _connect(database_url) as connection:
        _life_cycles(connection, sizes, group)
        cpu, started, count = cpu_seconds(postgres_pid), time.monotonic(), 0
        while time.monotonic() - started < seconds:
            _life_cycles(connection, sizes, group)
            count += group
        elapsed = time.monotonic() - started
        # Read while the server's process of this connection lives: a dying one counts nowhere.
        cpu = cpu_seconds(postgres_pid) - cpu
    return {
        "per_second": round(count / elapsed, 1),
        "postgres_us": round(cpu / count * 1e6, 1),
    }


def measure_commits(database_url: str, count: int) -> list[float]:
    """Return milliseconds of single-row commits, one after the other, fsync included."""
    times = []
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bench_commit (id uuid PRIMARY KEY)")
        for _ in range(count):
            started = time.monotonic()
            connection.execute("INSERT INTO bench_commit VALUES (%s)", [new_id()])
            times.append((time.monotonic() - started) * 1000)
        connection.execute("DROP TABLE bench_commit")
    return times


def _connect(database_url: str) -> psycopg.Connection:
    connection = psycopg.connect(database_url, autocommit=True, options=_CONNECTION)
    connection.prepare_threshold = 0
    return connection


def _life_cycles(connection: psycopg.Connection, sizes: BatchSizes, group: int) -> None:
    """Take `group` tasks through their life, each phase in its own batches."""
    ids = [new_id() for _ in range(group)]
    is_direct = sizes.assign is None
    first_kinds = (1, 2) if is_direct else (1,)
    for batch in _batches(ids, sizes.insert):
        _write(connection, _INSERT, first_kinds, batch, status=int(is_direct))
    if sizes.assign is not None:
        for batch in _batches(ids, sizes.assign):
            _write(connection, _ASSIGN, (2,), batch)
    for batch in _batches(ids, sizes.start):
        _write(connection, _START, (4,), batch)
    for batch in _batches(ids, sizes.complete):
        _write(connection, _COMPLETE, (6,), batch)


def _batches(ids: Sequence[UUID], size: int) -> list[Sequence[UUID]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def _write(
    connection: psycopg.Connection,
    statements: Sequence[str],
    kinds: Sequence[int],
    ids: Sequence[UUID],
    status: int = 0,
) -> None:
    """Run one batch of one phase and its log rows in one transaction and one round trip."""
    parameters: dict[str, Any] = {
        "ids": list(ids),
        "some": SOME_ID,
        "now": datetime.now(UTC),
        "status": status,
        "input": INPUT,
        "output": OUTPUT,
    }
    with connection.pipeline(), connection.transaction():
        cursor = connection.cursor(binary=True)
        for statement in statements:
            cursor.execute(statement, parameters)
        for kind in kinds:
            cursor.execute(_LOG, {**parameters, "kind": kind, "event_ids": [new_id() for _ in ids]})
