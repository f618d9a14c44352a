"""The hottest statements reach their rows by the index meant for them, and read no more than is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django.plugin import DjangoDbBlocker

from engine.ids import new_id
from engine.models.pages import newest_page
from engine.models.run_selection import selected_runs
from engine.states import RunTrigger, Status
from engine.store import (
    assignments,
    figures,
    outbox,
    queues,
    run_starts,
    runs,
    task_events,
    tasks,
    traces,
    workers,
)
from engine.store.assignments import Wanted
from engine.store.query import Query
from engine.store.run_starts import NewRun, NewStandalone, StandaloneKind
from engine.store.task_events import SentNote
from engine.store.tasks import Outcome, Started
from engine.types import RunFilter
from tests.store.plans import Crowd, Scan, explain, fill, scans_of

ASKED = 20
"""How many tasks, runs or workers each statement is about."""
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def crowd(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Crowd]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield fill()
        transaction.set_rollback(True)
    connection.close()


def insert_standalone(crowd: Crowd) -> Query[Any]:
    kind = StandaloneKind(
        crowd.tenant_id, crowd.workflow_id, crowd.version_id, crowd.step_id, "flow:0", 60.0, 60.0
    )
    new = [
        NewRun(
            new_id(),
            crowd.tenant_id,
            crowd.workflow_id,
            crowd.version_id,
            Status.QUEUED,
            False,
            1,
            RunTrigger.MANUAL,
            b"{}",
        )
        for _ in range(ASKED)
    ]
    (worker_id,) = crowd.workers(1)
    return run_starts.insert_standalone(
        [NewStandalone(run, kind, new_id(), worker_id) for run in new], crowd.now
    )


def assign(crowd: Crowd) -> Query[Any]:
    (worker_id,) = crowd.workers(1)
    ids = crowd.ids(Status.QUEUED, ASKED)
    return assignments.assign([Wanted(i, 0, worker_id, 60.0) for i in ids], crowd.now)


def start(crowd: Crowd) -> Query[Any]:
    ids = crowd.ids(Status.RUNNING, ASKED)
    return tasks.start([Started(i, crowd.tenant_id, 0) for i in ids], crowd.now)


def complete(crowd: Crowd) -> Query[Any]:
    ids = crowd.ids(Status.RUNNING, ASKED)
    return tasks.complete_standalone([Outcome(i, crowd.tenant_id, 0, b"1") for i in ids], crowd.now)


def insert_sent(crowd: Crowd) -> Query[Any]:
    (worker_id,) = crowd.workers(1)
    ids = crowd.ids(Status.RUNNING, ASKED)
    return task_events.insert_sent([SentNote(new_id(), i, i, 0, 1.0, worker_id) for i in ids])


class Case(NamedTuple):
    """A query, and the most rows of hot tables it may read by each index; by no other any."""

    query: Callable[[Crowd], Query[Any]]
    reads: dict[str, int]


CASES = {
    "run.insert_standalone": Case(insert_standalone, {}),
    "task.assign": Case(
        assign,
        {"engine_task_pkey": ASKED, "engine_run_pkey": 2 * ASKED, "engine_payload_pkey": ASKED},
    ),
    "task.start": Case(start, {"engine_task_pkey": ASKED}),
    "task.complete_standalone": Case(
        complete,
        {"engine_task_pkey": ASKED, "engine_run_pkey": ASKED, "engine_taskevent_pkey": 2 * ASKED},
    ),
    "task_event.insert_sent": Case(insert_sent, {}),
    "span.runs": Case(
        lambda c: traces.runs([(c.tenant_id, run_id) for run_id in c.ids(Status.COMPLETED, ASKED)]),
        {"engine_run_pkey": ASKED, "engine_task_pkey": ASKED},
    ),
    "task.queue_head": Case(
        lambda c: queues.queue_head(c.tenant_id, "flow:0", ASKED), {"task_queue": ASKED}
    ),
    "task.queued_actions": Case(lambda c: queues.queued_actions(c.tenant_id), {"task_queue": 3}),
    "task.due": Case(
        lambda c: tasks.due([c.tenant_id, c.stranger_id], c.now + timedelta(hours=1), ASKED),
        {"task_due": ASKED},
    ),
    "task.next_due": Case(lambda c: tasks.next_due([c.tenant_id, c.stranger_id]), {"task_due": 1}),
    "task.running": Case(
        lambda c: tasks.running(c.tenant_id, c.workers(ASKED)), {"task_on_worker": ASKED}
    ),
    "outbox.claim": Case(
        # Beside the rows it takes it looks once for each tenant who has any.
        lambda c: outbox.claim(ASKED, ASKED, but=[new_id()]),
        {"outbox_ready": ASKED + 4},
    ),
    "worker.beat": Case(
        lambda c: workers.beat([(w, c.tenant_id) for w in c.workers(ASKED)], c.now),
        {"engine_worker_pkey": 2 * ASKED},
    ),
    "run.details": Case(
        lambda c: runs.details(c.tenant_id, c.ids(Status.COMPLETED, 1)[0]),
        {"engine_task_pkey": 1, "run_by_tenant or engine_run_pkey": 1, "engine_payload_pkey": 1},
    ),
    "run.results": Case(
        lambda c: runs.results(c.tenant_id, c.ids(Status.COMPLETED, ASKED), finished_only=True),
        {
            "engine_run_pkey": ASKED,
            "engine_task_pkey": ASKED,
            "engine_payload_pkey": ASKED,
        },
    ),
}


def problems_of(scans: list[Scan], reads: dict[str, int]) -> list[str]:
    """Return what is wrong with how rows of hot tables are read."""
    counted: Counter[str] = Counter()
    for scan in scans:
        if scan.table and scan.rows:
            counted[scan.by or f"all of {scan.table}"] += scan.rows
    problems = []
    for names, most in reads.items():
        rows = sum(counted.pop(name, 0) for name in names.split(" or "))
        if not 0 < rows <= most:
            problems.append(f"{rows} rows by {names}, not 1 to {most}")
    return problems + [f"{rows} rows by {name}" for name, rows in counted.items()]


@pytest.mark.parametrize("name", CASES)
def test_statement_reads_what_it_is_asked_for(name: str, crowd: Crowd) -> None:
    query = CASES[name].query(crowd)
    assert query.name == name
    assert problems_of(scans_of(query), CASES[name].reads) == []


def test_what_happened_in_a_while_is_found_without_reading_the_log(crowd: Crowd) -> None:
    """Of a large log a few neighbouring pages, and of runs what it names; a small one is read by its key."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT brin_summarize_new_values(i.indexrelid) FROM pg_index i"
            " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam"
            f" WHERE m.amname = 'brin' AND i.indrelid = 'engine_taskevent_{crowd.now:%Y%m%d}'::regclass"
        )
        cursor.execute("SELECT count(*) FROM engine_taskevent")
        (written,) = cursor.fetchone()
        cursor.execute("SELECT set_config('enable_indexscan', 'off', true)")
    since = crowd.now - timedelta(milliseconds=300)
    scans = scans_of(figures.gather(since, since + timedelta(milliseconds=50)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('enable_indexscan', 'on', true)")
    read: Counter[str] = Counter()
    for scan in scans:
        read[scan.by or scan.table] += scan.rows
    assert read["engine_taskevent"] == read["engine_run"] == 0
    assert 0 < read["task_event_by_time_brin"] < written / 4
    assert 0 < read["engine_run_pkey"] <= 600


@pytest.mark.parametrize("is_first", [True, False])
def test_a_page_of_runs_reads_what_it_shows(is_first: bool, crowd: Crowd) -> None:
    of_tenant = selected_runs(crowd.tenant_id, RunFilter(EPOCH))
    before = None if is_first else crowd.ids(Status.COMPLETED, 400)[-1]
    with CaptureQueriesContext(connection) as captured:
        newest_page(of_tenant, before=before, after=None, size=ASKED)
    text = captured.captured_queries[-1]["sql"]
    assert problems_of(explain(text), {"run_by_tenant": ASKED + 1}) == []


def test_a_lost_index_is_noticed(crowd: Crowd) -> None:
    case = CASES["task.queue_head"]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DROP INDEX task_queue")
        found = problems_of(scans_of(case.query(crowd)), case.reads)
        transaction.set_rollback(True)
    assert f"0 rows by task_queue, not 1 to {ASKED}" in found
    assert len(found) == 2
