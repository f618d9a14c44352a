"""A step of a sticky workflow follows the first of its parents, by name, that ran."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.operations.push_events import push_events
from engine.states import Sticky
from engine.store import sync_db
from engine.types import EventInput
from tests.operations.bench import Bench, step
from tests.operations.histories import WAITS


def place_of_child(bench: Bench, run_id: UUID) -> UUID | None:
    return bench.task(bench.steps(run_id)["child"]).desired_worker_id


def run_on(bench: Bench, run_id: UUID, name: str) -> UUID:
    """Run a step to its end, on a worker of its own; return that."""
    task_id, worker_id = bench.steps(run_id)[name], bench.worker()
    bench.assign(task_id, worker_id=worker_id)
    bench.report(bench.completed(task_id))
    return worker_id


@pytest.mark.parametrize("ends", [("a", "b", "c"), ("b", "c", "a"), ("c", "a", "b")])
@pytest.mark.parametrize("sticky", Sticky)
def test_the_names_of_the_parents_count_and_not_the_order_of_their_ends(
    ends: tuple[str, ...], sticky: Sticky, bench: Bench
) -> None:
    bench.put(step("a"), step("b"), step("c"), step("child", "c", "b", "a"), sticky=sticky)
    (run_id,) = bench.trigger()
    worker_of = {name: run_on(bench, run_id, name) for name in ends}
    assert place_of_child(bench, run_id) == worker_of["a"]


def test_a_parent_that_was_skipped_is_passed_over(bench: Bench) -> None:
    steps = (step("a", conditions=WAITS), step("b"), step("child", "a", "b"))
    bench.put(*steps, sticky=Sticky.SOFT)
    (run_id,) = bench.trigger()
    sync_db.run(push_events(bench.tenant_id, [EventInput("skip", b"{}")], bench.now))
    worker_id = run_on(bench, run_id, "b")
    assert place_of_child(bench, run_id) == worker_id


def test_a_workflow_that_is_not_sticky_goes_anywhere(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("child", "a"))
    run_on(bench, run_id, "a")
    assert place_of_child(bench, run_id) is None
