"""Slots of whole runs of several tasks, limits that are computed, and those of the whole tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from engine.domain.assignment import RunClaims, SharedStrategy
from engine.domain.definition import Concurrency
from engine.models import RunSlot
from engine.operations.assign_tasks import assign_tasks
from engine.operations.cancel_tasks import cancel_superseded
from engine.operations.rebuild_scheduler import (
    load_rules,
    load_snapshot,
)
from engine.states import Status, TaskEventKind
from engine.store import sync_db
from engine.types import TriggerRequest
from tests.changes import changes_of
from tests.operations.bench import Bench, on_failure, step
from tests.operations.claims import ROUND_ROBIN, claims, keys, limited, queued, request

# Whole runs of several tasks


def run_claims(bench: Bench) -> list[RunClaims | None]:
    return [each.run for each in claims(bench)]


def test_tasks_of_one_run_ask_with_their_run_and_for_their_own_slots(bench: Bench) -> None:
    bench.put(
        step("a"),
        step("b", concurrency=(limited("string(input.n)", 7),)),
        step("c", "a", "b"),
        concurrency=(limited(max_runs=2), limited("'all'", 9)),
    )
    (run_id,) = bench.trigger(request(b'{"user":"ada","n":4}', priority=3))
    assert sorted(keys(bench)) == [[], ["4"]]
    (asked,) = set(run_claims(bench))
    assert asked is not None
    assert (asked.id, asked.arrival, asked.priority) == (run_id.int, run_id.int, 3)
    assert [(each.group.key, each.max_runs) for each in asked.chain] == [("ada", 2), ("all", 9)]
    bench.run_to_end(bench.steps(run_id)["a"], bench.steps(run_id)["b"])
    assert run_claims(bench) == [asked]


def test_the_on_failure_task_is_exempt_but_for_its_own_strategies(bench: Bench) -> None:
    rescue = replace(on_failure(), concurrency=(limited("'rescue'"),))
    bench.put(step("a"), rescue, concurrency=(limited(),))
    (run_id,) = bench.trigger(request())
    bench.run_to_failure(bench.steps(run_id)["a"])
    (asked,) = claims(bench)
    assert asked.run is None
    assert keys(bench) == [["rescue"]]


def test_a_run_holds_its_slots_from_its_first_assignment_until_it_ends(bench: Bench) -> None:
    bench.put(step("a"), step("b", "a"), on_failure(), concurrency=(limited(),))
    run_id, waiting = bench.trigger(request(), request())
    assert held(bench) == []
    first = next(each for each in queued(bench) if each.id == bench.steps(run_id)["a"])
    sync_db.run(assign_tasks([(first, bench.worker())], {}, bench.now))
    assert held(bench) == [run_id]
    bench.report(bench.completed(first.id))
    assert held(bench) == [run_id]
    assert bench.changes.left == []
    bench.run_to_end(bench.steps(run_id)["b"])
    assert [(left.run_id, left.arrival) for left in bench.changes.left] == [(run_id, run_id)]
    assert held(bench) == []
    assert list(RunSlot.objects.values_list("run_id", flat=True)) == [waiting]


def held(bench: Bench) -> list[UUID]:
    """The runs that a new owner takes for holders of slots."""
    snapshot = sync_db.run(load_snapshot(bench.tenant_id, bench.now, bench.now))
    return [UUID(int=each.id) for each in snapshot.runs_in_groups]


def test_a_replayed_run_asks_anew_and_one_that_is_not_over_goes_on(bench: Bench) -> None:
    bench.put(step("a"), step("b", "a"), concurrency=(limited(),))
    (run_id,) = bench.trigger(request())
    first, second = bench.steps(run_id)["a"], None
    bench.run_to_end(first)
    second = bench.steps(run_id)["b"]
    bench.run_to_end(second)
    bench.replay(second)
    (again,) = run_claims(bench)
    assert again is not None
    assert again.arrival > run_id.int
    assert again.chain[0].group.key == "ada"
    assert held(bench) == []
    bench.replay(first)
    assert run_claims(bench) == []
    bench.run_to_end(second)
    assert [left.arrival.int for left in bench.changes.left] == [again.arrival]


def test_a_run_without_key_fails_and_its_on_failure_task_runs(bench: Bench) -> None:
    bench.put(step("a"), step("b", "a"), on_failure(), concurrency=(limited(),))
    (run_id,) = bench.trigger(request(b"{}"))
    assert bench.statuses(run_id) == {
        "a": Status.FAILED,
        "b": Status.CANCELLED,
        "rescue": Status.QUEUED,
    }
    bench.run_to_end(bench.steps(run_id)["rescue"])
    assert bench.status(run_id) is Status.FAILED
    assert (bench.error(bench.steps(run_id)["a"]) or b"").startswith(b"failed to parse step")
    assert not RunSlot.objects.exists()
    assert bench.replay(run_id)
    assert bench.task_status(bench.steps(run_id)["a"]) is Status.FAILED


def test_losing_its_place_cancels_a_run_whole(bench: Bench) -> None:
    bench.put(step("a"), step("b"), step("c", "a", "b"), on_failure(), concurrency=(limited(),))
    (run_id,) = bench.trigger(request())
    worker = bench.worker()
    bench.assign(bench.steps(run_id)["a"], worker_id=worker)
    changes = changes_of(cancel_superseded({}, {}, bench.now, [(run_id, run_id)]))
    cancelled = dict.fromkeys(("a", "b", "c"), Status.CANCELLED)
    assert bench.statuses(run_id) == cancelled | {"rescue": Status.COMPLETED}
    assert bench.status(run_id) is Status.CANCELLED
    assert {end.stop_on for end in changes.ended} == {worker, None}
    assert [left.run_id for left in changes.left] == [run_id]
    message = bench.message(bench.steps(run_id)["b"], TaskEventKind.CANCELLED)
    assert message == "Cancelled due to concurrency strategy"


def test_a_run_that_was_replayed_since_is_not_cancelled(bench: Bench) -> None:
    bench.put(step("a"), step("b"), concurrency=(limited(),))
    (run_id,) = bench.trigger(request())
    bench.run_to_end(*bench.steps(run_id).values())
    bench.replay(run_id)
    changes = changes_of(cancel_superseded({}, {}, bench.now, [(run_id, run_id)]))
    assert changes.ended == []
    assert set(bench.statuses(run_id).values()) == {Status.QUEUED}


# Computed limits, and strategies of the whole tenant


def computed(expression: str, max_runs: int = 1) -> Concurrency:
    return Concurrency("input.user", max_runs, ROUND_ROBIN, expression)


@pytest.mark.parametrize(
    ("expression", "limit"),
    [("input.tier == 'gold' ? 10 : 2", 10), ("input.n", 4), ("int(input.n) * 2", 8)],
)
def test_a_limit_is_computed_for_each_task(bench: Bench, expression: str, limit: int) -> None:
    bench.put(step("work", concurrency=(limited(max_runs=7), computed(expression))))
    bench.trigger(request(b'{"user":"ada","tier":"gold","n":4.9}'))
    (asked,) = claims(bench)
    assert [(each.max_runs, each.is_computed) for each in asked.chain] == [
        (7, False),
        (limit, True),
    ]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("input.user", "expected int output for max runs, got string"),
        ("input.n > 1.0 ? input.user : 1", "expected int output for max runs, got string"),
        ("input.is_on", "expected int output for max runs, got bool"),
        ("input.n - 4.0", "max runs must be at least 1, got 0"),
        ("-3", "max runs must be at least 1, got -3"),
        ("input.nobody", 'no such key: "nobody"'),
        ("input.n / 0.0 * 0.0", "max runs must be at least 1, got nan"),
    ],
)
@pytest.mark.parametrize("level", ["task", "run"])
def test_a_limit_that_is_none_fails_the_task_and_not_the_call(
    bench: Bench, expression: str, message: str, level: str
) -> None:
    if level == "task":
        bench.put(step("work", retries=3, concurrency=(computed(expression),)))
    else:
        bench.put(step("work"), step("then", "work"), concurrency=(computed(expression),))
    (run_id,) = bench.trigger(request(b'{"user":"ada","n":4,"is_on":true}'))
    assert bench.ready() == []
    assert bench.status(run_id) is Status.FAILED
    task_id = run_id if level == "task" else bench.steps(run_id)["work"]
    error = f"failed to parse step expression ({expression}): {message}"
    assert (bench.error(task_id) or b"").decode().startswith(error)
    assert bench.tally() == bench.counts()


def test_an_endless_limit_is_a_very_large_one(bench: Bench) -> None:
    bench.put(step("work", concurrency=(computed("input.n / 0.0"),)))
    bench.trigger(request(b'{"user":"ada","n":4}'))
    (asked,) = claims(bench)
    assert asked.chain[0].max_runs == 2**31 - 1


def test_a_key_of_ten_thousand_characters_is_taken_and_a_longer_one_fails(bench: Bench) -> None:
    bench.put(step("work", concurrency=(limited(),)))
    good, bad = bench.trigger(*[request(b'{"user":"%s"}' % (b"x" * n)) for n in (10_000, 10_001)])
    assert [task_id for task_id, _, _ in bench.ready()] == [good]
    assert (bench.error(bad) or b"").endswith(b"longer than 10000 characters")


def everyone(max_runs: int, expression: str = "input.user", **options: Any) -> Concurrency:
    return Concurrency(expression, max_runs, ROUND_ROBIN, name="everyone", **options)


def rules(bench: Bench) -> Mapping[str, SharedStrategy]:
    return sync_db.run(load_rules(bench.tenant_id)).shared


def test_workflows_that_name_one_strategy_share_its_groups(bench: Bench) -> None:
    bench.put(step("work", concurrency=(everyone(2),)))
    bench.put(step("a"), step("b"), name="other", concurrency=(everyone(3, "input.customer"),))
    bench.trigger(request())
    (of_task,) = claims(bench)
    bench.trigger(TriggerRequest("other", input=b'{"customer":"ada"}'))
    of_run = claims(bench)[0].run
    assert of_run is not None
    assert of_task.chain[0].group == of_run.chain[0].group
    assert rules(bench) == {"everyone": SharedStrategy(3, ROUND_ROBIN)}


def test_a_registration_changes_a_shared_strategy_in_place_without_a_new_version(
    bench: Bench,
) -> None:
    put = bench.put(step("work", concurrency=(everyone(2),)))
    assert put.is_new
    assert bench.changes.rules == {bench.tenant_id}
    again = bench.put(step("work", concurrency=(everyone(2),)))
    assert not again.is_new
    assert bench.changes.rules == set()
    bench.put(step("work", concurrency=(everyone(5, max_runs_expression="9"),)), name="other")
    assert rules(bench) == {"everyone": SharedStrategy(5, ROUND_ROBIN, is_computed=True)}
    back = bench.put(step("work", concurrency=(everyone(2),)))
    assert (back.is_new, back.version_id) == (False, put.version_id)
    assert bench.changes.rules == {bench.tenant_id}
    assert rules(bench) == {"everyone": SharedStrategy(2, ROUND_ROBIN)}
