"""Spawned children: what they inherit, and that one key is one child."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.domain.trace_context import TraceContext, attempt_span
from engine.errors import InvalidArgument
from engine.ids import new_id
from engine.models import Run
from engine.operations.push_events import push_events
from engine.states import RunTrigger
from engine.store import sync_db
from engine.types import EventInput, TriggerRequest
from tests.json_documents import exact
from tests.operations.bench import Bench, step


def child(parent: UUID, index: int | None = 0, key: str | None = None) -> TriggerRequest:
    return TriggerRequest("flow", parent_task_id=parent, child_index=index, child_key=key)


@pytest.fixture
def parent(bench: Bench) -> UUID:
    bench.put(step("work", retries=3))
    (run_id,) = bench.trigger(
        TriggerRequest("flow", additional_metadata=b'{"user":"u","own":"p","hatchet__x":"no"}')
    )
    bench.assign(run_id)
    return run_id


def test_a_child_knows_its_parent_and_inherits_metadata(bench: Bench, parent: UUID) -> None:
    request = TriggerRequest(
        "flow",
        additional_metadata=b'{"own":"c"}',
        parent_task_id=parent,
        child_index=4,
        child_key="k",
    )
    (run_id,) = bench.trigger(request)
    run = bench.run(run_id)
    assert (run.parent_task_id, run.parent_run_id) == (parent, parent)
    assert (run.child_index, run.child_key, run.trigger) == (4, "k", RunTrigger.CHILD)
    assert run.additional_metadata == {
        "user": "u",
        "own": "c",
        "hatchet__parent_workflow_run_id": str(parent),
        "hatchet__parent_step_run_id": str(parent),
        "traceparent": TraceContext(parent, attempt_span(parent, 0)).traceparent,
    }


def test_a_child_stays_in_the_trace_it_brings(bench: Bench, parent: UUID) -> None:
    brought = b'{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}'
    (run_id,) = bench.trigger(child(parent)._replace(additional_metadata=brought))
    assert bench.run(run_id).additional_metadata["traceparent"] == (
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    )


@pytest.mark.parametrize("says", ["what its parent was given", "nothing", "nonsense"])
def test_a_child_that_says_nothing_of_its_own_is_in_its_parents_trace(
    bench: Bench, says: str
) -> None:
    """The parent was triggered in a trace of its own; SDKs hand on what their task was given."""
    brought = b'{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}'
    parent = started_with(bench, brought)
    handed = {
        "what its parent was given": brought,
        "nothing": None,
        "nonsense": b'{"traceparent":5}',
    }
    (born,) = bench.trigger(child(parent)._replace(additional_metadata=handed[says]))
    trace = UUID("4bf92f3577b34da6a3ce929d0e0e4736")
    assert bench.run(born).additional_metadata["traceparent"] == (
        TraceContext(trace, attempt_span(parent, 0)).traceparent
    )
    bench.assign(born)
    (grandchild,) = bench.trigger(child(born))
    assert bench.run(grandchild).additional_metadata["traceparent"] == (
        TraceContext(trace, attempt_span(born, 0)).traceparent
    )


def started_with(bench: Bench, metadata: bytes) -> UUID:
    bench.put(step("work"))
    (run_id,) = bench.trigger(TriggerRequest("flow", additional_metadata=metadata))
    bench.assign(run_id)
    return run_id


def test_inherited_metadata_keeps_every_digit(bench: Bench) -> None:
    numbers = b'"n":18446744073709551617,"d":[0.10000000000000000001],"e":1e-300'
    run_id = started_with(bench, b"{" + numbers + b"}")
    (born,) = bench.trigger(child(run_id))
    (action,) = bench.assign(born)
    assert action.additional_metadata is not None
    told = exact(action.additional_metadata)
    stored = exact(bench.run(born).additional_metadata.text)
    for pairs in (told, stored):
        assert {key: pairs[key] for key in "nde"} == exact(b"{" + numbers + b"}")


def test_metadata_that_grows_too_large_by_inheriting_is_refused(bench: Bench) -> None:
    run_id = started_with(bench, b'{"a":"' + b"x" * 3_000_000 + b'"}')
    request = child(run_id)._replace(additional_metadata=b'{"b":"' + b"x" * 3_000_000 + b'"}')
    with pytest.raises(InvalidArgument, match="with what it inherits"):
        bench.trigger(request)
    assert Run.objects.filter(tenant_id=bench.tenant_id).count() == 1


def test_the_same_index_is_the_same_child(bench: Bench, parent: UUID) -> None:
    (first,) = bench.trigger(child(parent, 0))
    assert bench.trigger(child(parent, 0)) == [first]
    assert bench.ready() == []
    (other,) = bench.trigger(child(parent, 1))
    assert other != first


def test_a_key_counts_instead_of_the_index(bench: Bench, parent: UUID) -> None:
    (first,) = bench.trigger(child(parent, 0, "a"))
    assert bench.trigger(child(parent, 7, "a")) == [first]
    (by_index,) = bench.trigger(child(parent, 0))
    assert by_index != first


def test_a_key_cannot_be_mistaken_for_an_index(bench: Bench, parent: UUID) -> None:
    (by_index,) = bench.trigger(child(parent, 3))
    (by_key,) = bench.trigger(child(parent, 9, "3"))
    (by_odd_key,) = bench.trigger(child(parent, 8, "i:3"))
    assert len({by_index, by_key, by_odd_key}) == 3


def test_a_key_needs_an_index_beside_it(bench: Bench, parent: UUID) -> None:
    first = bench.trigger(child(parent, None, "a"))
    assert bench.trigger(child(parent, None, "a")) != first


def test_one_bulk_may_name_a_child_twice(bench: Bench, parent: UUID) -> None:
    (old,) = bench.trigger(child(parent, 5))
    a, b, again, c, old_again = bench.trigger(
        child(parent, 0), child(parent, 1), child(parent, 0), child(parent, 2), child(parent, 5)
    )
    assert again == a and old_again == old
    assert len({a, b, c, old}) == 4
    assert Run.objects.filter(parent_task_id=parent).count() == 4
    assert sorted(task_id for task_id, _, _ in bench.ready()) == sorted([a, b, c])


def test_retries_of_the_parent_find_its_children_again(bench: Bench, parent: UUID) -> None:
    (first,) = bench.trigger(child(parent, 0))
    bench.run_to_failure(first)
    bench.report(bench.failed(parent))
    bench.assign(parent)
    assert bench.task(parent).retry_count == 1
    assert bench.trigger(child(parent, 0)) == [first]


def test_another_parent_has_children_of_its_own(bench: Bench, parent: UUID) -> None:
    (other,) = bench.trigger()
    assert bench.trigger(child(parent)) != bench.trigger(child(other))


def test_dag_steps_and_their_children_do_not_share_keys(bench: Bench) -> None:
    bench.put(step("a"), step("b"), name="dag")
    bench.put()
    (run_id,) = bench.trigger(TriggerRequest("dag"))
    spawner = bench.steps(run_id)["a"]
    children = bench.trigger(*[child(spawner, index) for index in range(4)])
    assert len({*children, *bench.steps(run_id).values()}) == 6
    assert {bench.run(c).parent_run_id for c in children} == {run_id}


@pytest.mark.parametrize("foreign", [True, False])
def test_an_unknown_or_foreign_parent_is_refused(bench: Bench, foreign: bool) -> None:
    bench.put()
    parent = Bench().start() if foreign else new_id()
    with pytest.raises(InvalidArgument, match="parent task"):
        bench.trigger(child(parent))
    assert not Run.objects.filter(tenant_id=bench.tenant_id).exists()


def test_neither_the_workflow_nor_the_input_makes_another_child(bench: Bench, parent: UUID) -> None:
    bench.put(name="other")
    (first,) = bench.trigger(child(parent, 0))
    twin = TriggerRequest("other", b'{"a":1}', parent_task_id=parent, child_index=0)
    assert bench.trigger(twin) == [first]
    assert Run.objects.filter(parent_task_id=parent).count() == 1


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_a_replayed_parent_finds_its_children_again_whatever_became_of_them(
    bench: Bench, parent: UUID, end: str
) -> None:
    (first,) = bench.trigger(child(parent, 0))
    if end == "completed":
        bench.run_to_end(first)
    elif end == "failed":
        bench.run_to_failure(first)
    else:
        bench.cancel(first)
    was = bench.status(first)
    bench.report(bench.completed(parent))
    assert bench.replay(parent) == [parent]
    bench.assign(parent)
    assert bench.trigger(child(parent, 0)) == [first]
    assert bench.status(first) is was
    assert bench.ready() == []


def test_a_grandchild_inherits_from_both_and_is_marked_by_its_own_parent(
    bench: Bench, parent: UUID
) -> None:
    (middle,) = bench.trigger(
        TriggerRequest("flow", b"{}", b'{"own":"m"}', parent_task_id=parent, child_index=0)
    )
    (last,) = bench.trigger(child(middle))
    assert bench.run(last).additional_metadata == {
        "user": "u",
        "own": "m",
        "hatchet__parent_workflow_run_id": str(middle),
        "hatchet__parent_step_run_id": str(middle),
        "traceparent": TraceContext(parent, attempt_span(middle, 0)).traceparent,
    }


def test_children_of_a_dag_task_are_marked_with_run_and_task(bench: Bench) -> None:
    bench.put(step("a"), step("b"), name="dag")
    bench.put()
    (run_id,) = bench.trigger(TriggerRequest("dag", additional_metadata=b'{"k":"v"}'))
    spawner = bench.steps(run_id)["a"]
    (born,) = bench.trigger(child(spawner))
    assert bench.run(born).additional_metadata == {
        "k": "v",
        "hatchet__parent_workflow_run_id": str(run_id),
        "hatchet__parent_step_run_id": str(spawner),
        "traceparent": TraceContext(run_id, attempt_span(spawner, 0)).traceparent,
    }


def test_children_of_an_events_run_are_in_the_events_trace(bench: Bench) -> None:
    bench.put(event_triggers=("a",))
    (event,) = sync_db.run(push_events(bench.tenant_id, [EventInput("a")], bench.now))
    parent = Run.objects.get(tenant_id=bench.tenant_id).id
    (born,) = bench.trigger(child(parent))
    told = bench.run(born).additional_metadata["traceparent"]
    assert told == TraceContext(event.event_id, attempt_span(parent, 0)).traceparent


def test_children_of_another_attempt_hang_below_that(bench: Bench, parent: UUID) -> None:
    bench.report(bench.failed(parent))
    bench.assign(parent)
    (born,) = bench.trigger(child(parent))
    told = bench.run(born).additional_metadata["traceparent"]
    assert told == TraceContext(parent, attempt_span(parent, 1)).traceparent
