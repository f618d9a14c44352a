"""A database with enough rows that only a mistake reads all of them, and the engine's plans over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from psycopg import sql

from engine.states import Status
from engine.store.async_db import CONNECTION_OPTIONS
from engine.store.binary import prepare
from engine.store.query import Query, statements
from tests.operations.bench import Bench

DAILY = ("engine_run", "engine_task", "engine_taskevent", "engine_payload")
"""Tables with a partition for each day."""
HOT = (*DAILY, "engine_worker", "engine_outboxrow")
"""Tables that no hot statement may read as a whole."""
ROWS = 20_000
WORKERS = 2_000

FILL = """
CREATE TEMPORARY TABLE made AS
SELECT pg_temp.id_of(n, 0) AS id, CASE n / 20 %% 10 WHEN 0 THEN %(tenant)s::uuid ELSE %(stranger)s::uuid END AS tenant_id,
       CASE n %% 20 WHEN 1 THEN 0 WHEN 2 THEN 1 ELSE 2 + n %% 3 END AS status, n
  FROM generate_series(1, %(rows)s) AS n;
INSERT INTO engine_worker (
    id, tenant_id, name, actions, slots, labels, is_active, is_paused, sdk_version, language,
    language_version, os, runtime_extra, last_listener_at, last_heartbeat_at, created_at, updated_at)
SELECT pg_temp.id_of(n, 1), %(tenant)s, 'w', '{}', '{}', '{}', true, false, '', '', '', '', '',
       now(), now(), now(), now()
  FROM generate_series(0, %(workers)s - 1) AS n;
INSERT INTO engine_run (
    id, tenant_id, workflow_id, version_id, status, is_dag, priority, trigger, created_at)
SELECT id, tenant_id, %(workflow)s, %(version)s, status, false, 1, 0, now() FROM made;
INSERT INTO engine_task (
    id, tenant_id, run_id, workflow_id, version_id, step_id, action_id, status, queue_priority,
    retry_count, app_retry_count, internal_retry_count, worker_id, is_delayed, is_slot_released,
    is_skipped, due_at, created_at, queued_at, assigned_at)
SELECT id, tenant_id, id, %(workflow)s, %(version)s, %(step)s, 'flow:' || n %% 3, status, 1,
       0, 0, 0, CASE WHEN status > 0 THEN pg_temp.id_of(n %% %(workers)s, 1) END, false, false,
       false, CASE WHEN status < 2 THEN now() + n * interval '1 s' END, now(), now(),
       CASE WHEN status > 0 THEN now() END
  FROM made;
INSERT INTO engine_payload (owner_id, kind, attempt, data)
SELECT id, kind, 0, '{}' FROM made, generate_series(1, 2) AS kind WHERE kind = 1 OR status = 2;
INSERT INTO engine_taskevent (id, run_id, task_id, retry_count, kind, at, message)
SELECT pg_temp.id_of(n, kind), id, id, 0, kind, now(), '' FROM made, generate_series(1, 2) AS kind
 WHERE kind = 1 OR status > 0;
INSERT INTO engine_outboxrow (id, tenant_id, kind, name, data, size, role, created_at, due_at, failed_at)
SELECT id, tenant_id, 0, 'flow', '{}', 2, 'app', now(), CASE status WHEN 2 THEN now() END,
       CASE status WHEN 3 THEN now() END
  FROM made
"""
ID_OF = """
CREATE FUNCTION pg_temp.id_of(n bigint, kind bigint) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex(%s + n / 10), 12, '0') || '7000800' || kind || lpad(to_hex(n), 12, '0'))::uuid
$$
"""


class Crowd(NamedTuple):
    """A tenant with a tenth of the rows, tasks in all stages; the rest is another's."""

    tenant_id: UUID
    stranger_id: UUID
    workflow_id: UUID
    version_id: UUID
    step_id: UUID
    now: datetime

    def ids(self, status: Status, count: int) -> list[UUID]:
        return _column(
            "SELECT id FROM engine_task WHERE tenant_id = %s AND status = %s ORDER BY id LIMIT %s",
            [self.tenant_id, int(status), count],
        )

    def workers(self, count: int) -> list[UUID]:
        return _column("SELECT id FROM engine_worker ORDER BY id LIMIT %s", [count])


def fill() -> Crowd:
    """Fill the database, and plan as the engine's connections do, until the transaction's end."""
    bench, stranger = Bench(), Bench()
    version_id = bench.put().version_id
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute(ID_OF, [int(now.timestamp() * 1000) - ROWS // 10])
        cursor.execute(
            "SELECT v.workflow_id, s.id FROM engine_workflowversion v"
            " JOIN engine_step s ON s.version_id = v.id WHERE v.id = %s",
            [version_id],
        )
        workflow_id, step_id = cursor.fetchone()
        cursor_parameters = {
            "tenant": bench.tenant_id,
            "stranger": stranger.tenant_id,
            "workflow": workflow_id,
            "version": version_id,
            "step": step_id,
            "rows": ROWS,
            "workers": WORKERS,
        }
        for statement in FILL.split(";\n"):
            cursor.execute(statement, cursor_parameters)
        for table in HOT:
            # Only what has rows: in real life an empty partition is never analyzed.
            name = f"{table}_{now:%Y%m%d}" if table in DAILY else table
            cursor.execute(f"ANALYZE {name}")
        for setting in CONNECTION_OPTIONS.removeprefix("-c ").split(" -c "):
            name, value = setting.split("=")
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
    return Crowd(bench.tenant_id, stranger.tenant_id, workflow_id, version_id, step_id, now)


def _column(text: str, parameters: Sequence[Any] | None = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)
        return [row[0] for row in cursor.fetchall()]


class Scan(NamedTuple):
    """One place where a plan reads rows. Names are those of the whole table, not of its partitions."""

    table: str
    by: str | None
    """The index, or None where a table is read as a whole."""
    rows: int
    """Those given on and those thrown away, of all loops."""


def scans_of(query: Query[Any]) -> list[Scan]:
    """Run a query as the engine does, and undo it; return what it read."""
    statement = prepare(query.name, statements()[query.name])
    given = [sql.quote(query.params[parameter.name]) for parameter in statement.parameters]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"PREPARE asked AS {statement.text.decode()}")
        found = explain(f"EXECUTE asked({', '.join(given)})")
        cursor.execute("DEALLOCATE asked")
        transaction.set_rollback(True)
    return found


def explain(text: str) -> list[Scan]:
    ((plan,),) = _column(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {text}")
    return list(_scans(plan["Plan"], _parent_indexes()))


def _parent_indexes() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, p.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " JOIN pg_class p ON p.oid = i.inhparent WHERE c.relkind = 'i'"
        )
        return dict(cursor.fetchall())


def _scans(node: dict[str, Any], parents: dict[str, str]) -> Iterator[Scan]:
    kind, index = node["Node Type"], node.get("Index Name")
    if "Scan" in kind and kind != "Bitmap Heap Scan" and (index or "Relation Name" in node):
        thrown = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        rows = node["Actual Rows"] + sum(node.get(name, 0) for name in thrown)
        table = next((name for name in HOT if _is_of(node.get("Relation Name", ""), name)), "")
        whole = parents.get(index, index) if index else None
        yield Scan(table, whole, round(rows * node["Actual Loops"]))
    for child in node.get("Plans", ()):
        yield from _scans(child, parents)


def _is_of(relation: str, table: str) -> bool:
    return relation == table or relation.startswith(f"{table}_")
