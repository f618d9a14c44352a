"""What tasks claim of rate limits is told when they are created; what they take is written with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.domain.definition import Concurrency, RateLimit
from engine.domain.rate_limits import LimitClaim, Taken
from engine.errors import NotFound
from engine.ids import new_id
from engine.models import RateLimit as RateLimitRow
from engine.operations.assign_tasks import assign_tasks
from engine.operations.change_rate_limits import (
    delete_rate_limit,
    pause_rate_limit,
    put_rate_limit,
)
from engine.operations.parts.plan_runs import plan_new_run, resolve_names
from engine.operations.rebuild_scheduler import load_in_groups, load_queue_head, load_snapshot
from engine.operations.trigger_runs import insert_runs
from engine.states import ConcurrencyStrategy, RateLimitWindow, Status, TaskEventKind
from engine.store import rate_limits, sync_db
from engine.store.query import Operation, fetch
from engine.store.queues import FIRST_PLACE
from engine.types import TriggerRequest
from tests.changes import changes_of
from tests.operations.bench import START, Bench, on_failure, step
from tests.operations.placed import placed

HOUR, SECOND = RateLimitWindow.HOUR, RateLimitWindow.SECOND
DYNAMIC = RateLimit(
    key_expression="input.user",
    units_expression="input.units",
    limit_expression="input.tier * 10.0",
)
API = RateLimit("api")


def request(data: bytes = b'{"user":"ada","units":2,"tier":3}') -> TriggerRequest:
    return TriggerRequest("flow", input=data)


def claims(bench: Bench) -> list[tuple[LimitClaim, ...]]:
    """What the tasks that the last operation queued claim."""
    return [task.limits for _, task in bench.changes.ready]


def put(bench: Bench, key: str, limit: int, window: RateLimitWindow = HOUR) -> None:
    sync_db.run(put_rate_limit(bench.tenant_id, key, limit, window, bench.now))


def row(bench: Bench, key: str = "api") -> RateLimitRow:
    return RateLimitRow.objects.get(tenant_id=bench.tenant_id, key=key)


def taken(bench: Bench, units: int = 1, key: str = "api", **options: Any) -> Taken:
    settings = {"limit": 9, "window": HOUR, "is_dynamic": False, "since": START.timestamp()}
    return Taken(key, units, **(settings | options))


def consume(bench: Bench, *takings: Taken) -> None:
    def write() -> Operation[None]:
        yield from fetch(rate_limits.consume([(bench.tenant_id, takings)], bench.now))

    sync_db.run(write())


# Claims


def test_claims_are_evaluated_once_and_kept_by_retries_and_replays(bench: Bench) -> None:
    bench.put(step("work", rate_limits=(API, DYNAMIC), retries=1))
    (run_id,) = bench.trigger(request())
    wanted = (LimitClaim("api", 1), LimitClaim("ada", 2, 30))
    assert claims(bench) == [wanted]
    bench.assign()
    bench.report(bench.failed(run_id))
    assert claims(bench) == [wanted]
    bench.assign()
    bench.report(bench.failed(run_id))
    bench.replay(run_id)
    assert claims(bench) == [wanted]


def test_later_steps_and_the_one_on_failure_have_limits_of_their_own(bench: Bench) -> None:
    bench.put(step("one"), step("two", "one", rate_limits=(DYNAMIC,)), on_failure())
    (run_id,) = bench.trigger(request())
    assert claims(bench) == [()]
    bench.run_to_end(bench.steps(run_id)["one"])
    assert claims(bench) == [(LimitClaim("ada", 2, 30),)]


def test_limits_and_groups_go_together(bench: Bench) -> None:
    chain = (Concurrency("input.user", 1, ConcurrencyStrategy.GROUP_ROUND_ROBIN),)
    bench.put(step("work", rate_limits=(DYNAMIC,), concurrency=chain))
    bench.trigger(request())
    ((_, ready),) = bench.changes.ready
    assert ready.limits == (LimitClaim("ada", 2, 30),)
    assert ready.claims is not None
    assert [claim.group.key for claim in ready.claims.chain] == ["ada"]


def test_a_task_whose_limit_cannot_be_told_fails_and_so_does_its_replay(bench: Bench) -> None:
    bench.put(step("work", rate_limits=(API, DYNAMIC), retries=3))
    good, bad = bench.trigger(request(), request(b'{"user":7,"units":1,"tier":1}'))
    assert [task.id for _, task in bench.changes.ready] == [good]
    problem = b"expected string output for rate limit key, got double"
    for attempt in range(2):
        assert bench.task_status(bad) is Status.FAILED
        assert problem in (bench.error(bad, attempt) or b"")
        bench.replay(bad)
    assert bench.kinds(bad).count(TaskEventKind.FAILED.name) >= 2


def test_a_step_of_a_dag_fails_by_its_limit_and_its_run_goes_on(bench: Bench) -> None:
    bench.put(step("one"), step("two", "one", rate_limits=(DYNAMIC,)), on_failure())
    (run_id,) = bench.trigger(request(b"{}"))
    bench.run_to_end(bench.steps(run_id)["one"])
    assert bench.statuses(run_id)["two"] is Status.FAILED
    assert bench.statuses(run_id)["rescue"] is Status.QUEUED


def test_tasks_with_limits_are_all_in_the_schedulers_memory(bench: Bench) -> None:
    bench.put(step("work", rate_limits=(API,)))
    ids = bench.trigger(request(), request())
    assert sync_db.run(load_queue_head(bench.tenant_id, "flow:work", 10)) == []
    found, _ = sync_db.run(load_in_groups(bench.tenant_id, FIRST_PLACE, 10))
    assert [(task.id, task.limits) for task in found] == [
        (task_id, (LimitClaim("api", 1),)) for task_id in ids
    ]


def test_tasks_without_limits_store_and_claim_nothing(bench: Bench) -> None:
    run_id = bench.start()
    assert bench.task(run_id).concurrency_keys is None
    assert claims(bench) == [()]


# What is taken


def test_what_is_taken_is_added_up_within_a_window(bench: Bench) -> None:
    put(bench, "api", 9)
    consume(bench, taken(bench, 2))
    consume(bench, taken(bench, 1), taken(bench, 3))
    assert (row(bench).value, row(bench).limit_value) == (3, 9)


def test_the_first_units_of_a_later_window_leave_the_rest_of_it(bench: Bench) -> None:
    put(bench, "api", 9)
    consume(bench, taken(bench, 8))
    later = (START + timedelta(hours=2)).timestamp()
    consume(bench, taken(bench, 2, since=later))
    assert (row(bench).value, row(bench).refilled_at.timestamp()) == (7, later)


def test_units_of_a_window_that_is_over_come_too_late_to_count(bench: Bench) -> None:
    put(bench, "api", 9)
    later = (START + timedelta(hours=2)).timestamp()
    consume(bench, taken(bench, 2, since=later))
    consume(bench, taken(bench, 5))
    assert row(bench).value == 7


def test_a_limit_that_tasks_bring_along_comes_to_be_and_gets_stricter(bench: Bench) -> None:
    consume(bench, taken(bench, 2, "ada", is_dynamic=True, limit=9, window=SECOND))
    assert (row(bench, "ada").value, row(bench, "ada").is_dynamic) == (7, True)
    consume(bench, taken(bench, 1, "ada", is_dynamic=True, limit=4))
    found = row(bench, "ada")
    assert (found.value, found.limit_value, found.window) == (3, 4, HOUR)
    later = START.timestamp() + 7200
    consume(bench, taken(bench, 1, "ada", is_dynamic=True, limit=20, window=SECOND, since=later))
    found = row(bench, "ada")
    assert (found.value, found.limit_value, found.window) == (19, 20, SECOND)


def test_a_deleted_limit_is_not_brought_back_by_what_was_under_way(bench: Bench) -> None:
    put(bench, "api", 9)
    sync_db.run(delete_rate_limit(bench.tenant_id, "api"))
    consume(bench, taken(bench))
    assert not RateLimitRow.objects.exists()
    with pytest.raises(NotFound, match='there is no rate limit "api"'):
        sync_db.run(delete_rate_limit(bench.tenant_id, "api"))


def test_only_attempts_that_are_assigned_take_units(bench: Bench) -> None:
    put(bench, "api", 9)
    bench.put(step("work", rate_limits=(API,)))
    ids = bench.trigger(request(), request(), request())
    ready = [task for _, task in bench.changes.ready]
    bench.cancel(ids[1])
    decisions = [(task, bench.worker()) for task in ready]
    units = {task.id: (taken(bench, 2),) for task in ready}
    assigned = sync_db.run(assign_tasks(decisions, {}, bench.now, (), units))
    assert len(assigned) == 2
    assert row(bench).value == 5


def test_runs_that_start_at_once_take_their_units_with_them(bench: Bench) -> None:
    put(bench, "api", 9)
    bench.put(step("work", rate_limits=(API,)))
    versions = sync_db.run(resolve_names(bench.tenant_id, ["flow"]))
    planned = [plan_new_run(request(), versions["flow"]) for _ in range(2)]
    first, _ = (item.run.id for item in planned)
    changes = changes_of(
        placed(
            insert_runs(planned, bench.now),
            {first: bench.worker()},
            {first: (taken(bench, 4),)},
        )
    )
    assert len(changes.ready) == 1
    assert row(bench).value == 5


# Settings


def test_setting_a_limit_again_never_refills_it(bench: Bench) -> None:
    put(bench, "api", 9)
    consume(bench, taken(bench, 2))
    bench.pass_time(10)
    put(bench, "api", 20)
    assert (row(bench).value, row(bench).limit_value) == (7, 20)
    put(bench, "api", 3, SECOND)
    assert (row(bench).value, row(bench).window) == (3, SECOND)
    assert row(bench).refilled_at == START


def test_a_pause_is_never_made_shorter(bench: Bench) -> None:
    put(bench, "api", 9)
    later = START + timedelta(hours=3)
    assert sync_db.run(pause_rate_limit(bench.tenant_id, "api", later, bench.now)) == later
    earlier = START + timedelta(hours=1)
    assert sync_db.run(pause_rate_limit(bench.tenant_id, "api", earlier, bench.now)) == later
    with pytest.raises(NotFound):
        sync_db.run(pause_rate_limit(bench.tenant_id, "nobody", later, bench.now))


def test_other_tenants_limits_are_out_of_reach(bench: Bench) -> None:
    put(bench, "api", 9)
    stranger: UUID = new_id()
    with pytest.raises(NotFound):
        sync_db.run(pause_rate_limit(stranger, "api", START, bench.now))
    with pytest.raises(NotFound):
        sync_db.run(delete_rate_limit(stranger, "api"))


def test_a_new_scheduler_finds_what_was_taken_under_the_one_before(bench: Bench) -> None:
    put(bench, "api", 9)
    consume(bench, taken(bench, 2), taken(bench, 1, "ada", is_dynamic=True))
    snapshot = sync_db.run(load_snapshot(bench.tenant_id, bench.now, bench.now))
    assert {limit.key: limit.state().value for limit in snapshot.limits} == {"api": 7, "ada": 8}


def test_limits_that_tasks_brought_along_go_when_nobody_uses_them(bench: Bench) -> None:
    put(bench, "api", 9)
    consume(bench, taken(bench, 1, "hourly", is_dynamic=True))
    consume(bench, taken(bench, 1, "yearly", is_dynamic=True, window=RateLimitWindow.YEAR))

    def forget(days: int) -> Operation[None]:
        yield from fetch(rate_limits.forget_idle(START + timedelta(days=days)))

    sync_db.run(forget(0))
    assert RateLimitRow.objects.count() == 3
    sync_db.run(forget(1))
    assert {limit.key for limit in RateLimitRow.objects.all()} == {"api", "yearly"}
