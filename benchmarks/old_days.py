"""Runs of days that are over, as if they had been carried out then: written by COPY."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from engine.states import PayloadKind, RunTrigger, Status, TaskEventKind

PAYLOAD = b'{"customer": "4711", "text": "' + b"x" * 200 + b'"}'
TABLES = (
    *("engine_run", "engine_task", "engine_taskevent", "engine_payload", "engine_logline"),
    *("engine_event", "engine_durabletask", "engine_durableentry"),
)
_COLUMNS = {
    "engine_run": "id, tenant_id, workflow_id, version_id, status, is_dag, priority, trigger,"
    " created_at, started_at, finished_at",
    "engine_task": "id, tenant_id, run_id, workflow_id, version_id, step_id, action_id, status,"
    " queue_priority, retry_count, app_retry_count, internal_retry_count, is_delayed,"
    " is_slot_released, is_skipped, created_at, queued_at, started_at, finished_at",
    "engine_taskevent": "id, run_id, task_id, retry_count, kind, at, message",
    "engine_payload": "owner_id, kind, attempt, data",
    "engine_logline": "id, run_id, task_id, tenant_id, retry_count, level, message, created_at",
}
_KINDS = (
    TaskEventKind.QUEUED,
    TaskEventKind.ASSIGNED,
    TaskEventKind.STARTED,
    TaskEventKind.FINISHED,
)
_AT_ONCE = 20_000


class OldDays:
    """Writes days of one workflow, which the installation must know."""

    def __init__(self, database: psycopg.Connection, workflow: str) -> None:
        self._database = database
        row = database.execute(
            """SELECT w.tenant_id, w.id, v.id, s.id, s.action_id
                 FROM engine_workflow w
                 JOIN engine_workflowversion v ON v.workflow_id = w.id
                 JOIN engine_step s ON s.version_id = v.id WHERE w.name = %s""",
            [workflow],
        ).fetchone()
        assert row is not None
        self._tenant, self._workflow, self._version, self._step, self._action = row

    def write(self, day: datetime, count: int) -> None:
        """Write so many runs that were completed."""
        self._make_partitions(day)
        for start in range(0, count, _AT_ONCE):
            runs = [self._run(day, Status.COMPLETED) for _ in range(min(_AT_ONCE, count - start))]
            self._copy(runs)

    def _make_partitions(self, day: datetime) -> None:
        for table in TABLES:
            self._database.execute(
                f"CREATE TABLE IF NOT EXISTS {table}_{day:%Y%m%d} PARTITION OF {table} FOR VALUES"
                f" FROM (engine_day_start_id('{day:%Y-%m-%d}'))"
                f" TO (engine_day_start_id('{day + timedelta(days=1):%Y-%m-%d}'))"
            )

    def _run(self, day: datetime, status: Status) -> tuple[UUID, datetime, Status]:
        at = day + timedelta(seconds=random.uniform(0, 86_000))
        return _id_at(at), at, status

    def _copy(self, runs: list[tuple[UUID, datetime, Status]]) -> None:
        for table, columns in _COLUMNS.items():
            with (
                self._database.cursor() as cursor,
                cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
            ):
                for row in self._rows(table, sorted(runs)):
                    copy.write_row(row)

    def _rows(
        self, table: str, runs: list[tuple[UUID, datetime, Status]]
    ) -> Iterator[tuple[Any, ...]]:
        tenant, workflow, version = self._tenant, self._workflow, self._version
        for run_id, at, status in runs:
            done = at if status.is_final else None
            if table == "engine_run":
                state = (int(status), False, 1, int(RunTrigger.MANUAL))
                yield (run_id, tenant, workflow, version, *state, at, done, done)
            elif table == "engine_task":
                whose = (run_id, tenant, run_id, workflow, version, self._step, self._action)
                flags = (int(status), 1, 0, 0, 0, False, False, False)
                yield (*whose, *flags, at, at, done, done)
            elif table == "engine_taskevent":
                for kind in _KINDS:
                    yield _id_at(at), run_id, run_id, 0, int(kind), at, ""
            elif table == "engine_payload":
                yield run_id, int(PayloadKind.INPUT), 0, PAYLOAD
                yield run_id, int(PayloadKind.OUTPUT), 0, PAYLOAD
            else:
                yield _id_at(at), run_id, run_id, tenant, 0, 1, "a line of the log", at


def day_before(days: int) -> datetime:
    """Return the start of the UTC day so many days ago."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days)


def _id_at(at: datetime) -> UUID:
    return UUID(
        int=(int(at.timestamp() * 1000) << 80)
        | (0x7 << 76)
        | (random.getrandbits(12) << 64)
        | (0x2 << 62)
        | random.getrandbits(62)
    )
