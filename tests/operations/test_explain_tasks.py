"""Why tasks do not run: read from the rows, by the scheduler's rules, changing nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from engine.domain.definition import Concurrency, RateLimit
from engine.domain.explanation import Cause, Explanation
from engine.domain.rate_limits import Taken
from engine.ids import new_id
from engine.models import Task, Worker
from engine.operations.change_rate_limits import pause_rate_limit, put_rate_limit
from engine.operations.copy_schedulers import SchedulerCopies
from engine.operations.explain_tasks import explain_tasks
from engine.operations.pause_workflows import Pause, pause_workflow
from engine.states import ConcurrencyStrategy, RateLimitWindow
from engine.store import rate_limits, sync_db
from engine.store.query import Operation, fetch
from engine.types import DesiredLabel
from tests.operations.bench import START, Bench, step
from tests.operations.scheduled import scheduled, worker

HOUR = RateLimitWindow.HOUR


def why(bench: Bench, task_id: UUID) -> Explanation:
    return sync_db.run(explain_tasks(bench.tenant_id, [task_id], bench.now, SchedulerCopies()))[
        task_id
    ]


def test_nothing_runs_without_an_engine_and_a_worker(bench: Bench) -> None:
    run_id = bench.start()
    assert why(bench, run_id).cause is Cause.NO_ENGINE
    scheduled(bench)
    assert why(bench, run_id).cause is Cause.NO_WORKER
    worker_id = worker(bench)
    assert why(bench, run_id).cause is Cause.NONE
    for change, cause in (
        ({"is_paused": True}, Cause.WORKERS_PAUSED),
        ({"is_active": False}, Cause.WORKERS_INACTIVE),
        ({"last_heartbeat_at": START - timedelta(seconds=9)}, Cause.WORKERS_STALE),
        ({"stalled_since": START}, Cause.WORKERS_STALLED),
    ):
        Worker.objects.filter(id=worker_id).update(**change)
        found = why(bench, run_id)
        assert (found.cause, found.needs_somebody) == (cause, True)
        assert found.details["workerId"] == str(worker_id)
        defaults: dict[str, Any] = {
            "is_paused": False,
            "is_active": True,
            "last_heartbeat_at": START,
            "stalled_since": None,
        }
        Worker.objects.filter(id=worker_id).update(**defaults)


def test_full_slots_are_counted_and_so_are_those_before(bench: Bench) -> None:
    scheduled(bench)
    worker_id = worker(bench, slots=1)
    running = bench.start()
    bench.assign(running, worker_id=worker_id)
    first, second = bench.trigger()[0], bench.trigger()[0]
    assert why(bench, running).cause is Cause.RUNNING
    assert why(bench, first).details["ahead"] == 0
    found = why(bench, second)
    assert found.cause is Cause.SLOTS_FULL
    assert (found.details["used"], found.details["total"], found.details["ahead"]) == (1, 1, 1)
    assert "1 of 1 on worker bench); 1 tasks of flow:work go before it." in found.message
    assert Task.objects.get(id=second).status == 0


def test_labels_nobody_has(bench: Bench) -> None:
    scheduled(bench)
    worker(bench)
    run_id = bench.start(
        step("work", worker_labels=(DesiredLabel("gpu", "h100", is_required=True),))
    )
    assert why(bench, run_id).cause is Cause.LABEL_MISMATCH


def test_a_place_in_a_concurrency_group_with_those_who_hold_its_slots(bench: Bench) -> None:
    scheduled(bench)
    worker_id = worker(bench)
    chain = (Concurrency("'key'", 1, ConcurrencyStrategy.GROUP_ROUND_ROBIN),)
    bench.put(step("work", concurrency=chain))
    holder = bench.trigger()[0]
    bench.assign(holder, worker_id=worker_id)
    _, second = bench.trigger()[0], bench.trigger()[0]
    found = why(bench, second)
    assert found.cause is Cause.GROUP_FULL
    assert found.details == {
        "key": "key",
        "used": 1,
        "limit": 1,
        "ahead": 1,
        "holderIds": [str(holder)],
    }
    assert found.message == 'It waits in the concurrency group "key": 1 of 1 run, 1 wait before it.'


def test_a_rate_limit_missing_used_up_and_paused(bench: Bench) -> None:
    scheduled(bench)
    worker(bench)
    run_id = bench.start(step("work", rate_limits=(RateLimit("api", units=2),)))
    found = why(bench, run_id)
    assert (found.cause, found.needs_somebody) == (Cause.RATE_LIMITED, True)
    assert found.message == 'Rate limit "api" has not been set.'
    sync_db.run(put_rate_limit(bench.tenant_id, "api", 3, HOUR, bench.now))
    assert why(bench, run_id).cause is Cause.NONE

    def use_up() -> Operation[None]:
        taken = Taken("api", 2, START.timestamp(), 3, HOUR, False)
        yield from fetch(rate_limits.consume([(bench.tenant_id, [taken])], bench.now))

    sync_db.run(use_up())
    found = why(bench, run_id)
    assert not found.needs_somebody
    assert found.details == {
        "key": "api",
        "units": 2,
        "ahead": 0,
        "value": 1,
        "limit": 3,
        "window": "HOUR",
        "isPaused": False,
        "until": START + timedelta(hours=1),
    }
    assert found.message.endswith("1 of 3 left in this hour, refilled at 2026-05-04 13:00:00 UTC.")
    until = START + timedelta(hours=5)
    sync_db.run(pause_rate_limit(bench.tenant_id, "api", until, bench.now))
    found = why(bench, run_id)
    assert (found.details["isPaused"], found.details["until"]) == (True, until)


def test_what_the_row_alone_tells(bench: Bench) -> None:
    run_id = bench.start(step("work", retries=1, backoff_factor=60.0, backoff_max_seconds=600))
    bench.assign(run_id)
    bench.report(bench.failed(run_id))
    found = why(bench, run_id)
    assert (found.cause, found.details["until"]) == (
        Cause.RETRY_BACKOFF,
        START + timedelta(seconds=60),
    )
    workflow_id = bench.task(run_id).workflow_id
    other = bench.trigger()[0]
    pause = Pause("QUEUE", "QUEUE", 90.0)
    sync_db.run(pause_workflow(bench.tenant_id, workflow_id, pause, bench.now))
    found = why(bench, other)
    assert (found.cause, found.details["until"]) == (
        Cause.WORKFLOW_PAUSED,
        START + timedelta(seconds=90),
    )
    scheduled(bench)
    came_later = bench.trigger()[0]
    assert why(bench, came_later).cause is Cause.WORKFLOW_PAUSED
    bench.cancel(other)
    assert why(bench, other).details == {"status": "CANCELLED", "ending": "Cancelled"}


def test_tasks_of_others_and_unknown_ones_are_left_out(bench: Bench) -> None:
    run_id = bench.start()
    assert (
        sync_db.run(explain_tasks(new_id(), [run_id, new_id()], bench.now, SchedulerCopies())) == {}
    )
