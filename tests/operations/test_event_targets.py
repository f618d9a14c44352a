"""An event that meets what an earlier one met is written in one round trip, unless that has changed."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from django.db import DatabaseError, connection

from engine.domain.definition import DefaultFilter, StepCondition
from engine.errors import TargetsChanged
from engine.ids import new_id
from engine.models import CelFailure, Event, Run
from engine.operations.change_filters import create_filter, delete_filter, update_filter
from engine.operations.parts.event_targets import KnownTargets, hold
from engine.operations.push_events import PushedEvents, push_calls, records_of
from engine.operations.put_workflow import delete_workflow
from engine.states import ConditionAction, ConditionKind
from engine.store import sync_db
from engine.store.failures import named
from engine.store.filters import NewFilter
from engine.store.query import Operation, Query, fetch
from engine.types import EventInput, EventRecord
from tests.operations.bench import Bench, step
from tests.operations.durable import DurableFlow, event
from tests.operations.flow import Flow

FIRST = DefaultFilter("input.n > 1", "orders", '{"least":1}')


class Pushes:
    """Pushes one event after the other, as an engine does that remembers what they met."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self.known = bench, KnownTargets()
        self.round_trips = 0

    def __call__(self, *inputs: EventInput) -> int:
        """Return how many runs were started. TargetsChanged: what was known is outdated."""
        tenant_id, now = self._bench.tenant_id, self._bench.now
        self.records = records_of(inputs, [new_id() for _ in inputs], now)
        calls = [PushedEvents(tenant_id, inputs, self.records)]
        self.round_trips = 0
        try:
            sync_db.run(self._counted(push_calls(calls, now, self.known)))
        except DatabaseError as error:
            raise named(error.__cause__) from error  # type: ignore[arg-type,misc]
        return Run.objects.filter(event_id__in=[r.event_id for r in self.records]).count()

    def _counted(self, operation: Operation[None]) -> Operation[None]:
        operation = iter(operation)
        step = next(operation)
        while True:
            if isinstance(step, (list, tuple)) and step and isinstance(step[0], Query):
                self.round_trips += 1
            try:
                step = operation.send((yield step))
            except StopIteration:
                return


@pytest.fixture
def bench(db: None) -> Bench:
    return Bench()


@pytest.fixture
def push(bench: Bench) -> Pushes:
    return Pushes(bench)


def order(n: int = 2, key: str = "order:paid", scope: str | None = "orders") -> EventInput:
    return EventInput(key, b'{"n":%d}' % n, scope=scope)


def test_the_second_event_takes_one_round_trip_and_starts_the_same(
    bench: Bench, push: Pushes
) -> None:
    bench.put(step("a"), name="one", event_triggers=("order:*",), default_filters=(FIRST,))
    bench.put(step("a"), name="two", event_triggers=("order:paid", "*paid"))
    assert push(order()) == 3
    assert (push(order()), push.round_trips) == (3, 1)
    assert (push(order(n=1)), push.round_trips) == (2, 1)
    run = Run.objects.filter(event_id=push.records[0].event_id).first()
    assert run is not None
    assert run.event_key == "order:paid"
    assert Event.objects.count() == 3


def test_several_known_events_start_what_each_meets(bench: Bench, push: Pushes) -> None:
    bench.put(step("a"), name="one", event_triggers=("order:*",), default_filters=(FIRST,))
    bench.put(step("a"), name="two", event_triggers=("order:paid",))
    paid, sent, plain = order(), order(key="order:sent"), order(scope=None)
    assert [push(paid), push(sent), push(plain)] == [2, 1, 1]
    assert (push(paid, sent, plain, paid), push.round_trips) == (6, 1)


def test_an_event_that_starts_nothing_is_stored(push: Pushes) -> None:
    assert [push(order()), push(order())] == [0, 0]
    assert push.round_trips == 1
    assert Event.objects.count() == 2


def test_expressions_that_fail_on_a_known_event_are_written_down(
    bench: Bench, push: Pushes
) -> None:
    bad = DefaultFilter("input.missing > 1", "orders")
    bench.put(step("a"), name="one", event_triggers=("order:paid",), default_filters=(bad,))
    assert [push(order()), push(order())] == [0, 0]
    assert push.round_trips == 1
    assert CelFailure.objects.count() == 2


CHANGES: dict[str, tuple[Callable[[Bench, UUID, UUID], object], int]] = {
    "another workflow": (
        lambda bench, _w, _f: bench.put(step("a"), name="new", event_triggers=("order:paid",)),
        2,
    ),
    "a wildcard": (
        lambda bench, _w, _f: bench.put(step("a"), name="new", event_triggers=("*",)),
        2,
    ),
    "a new version": (
        lambda bench, _w, _f: bench.put(step("b"), name="one", event_triggers=("order:paid",)),
        1,
    ),
    "a filter more": (
        lambda bench, w, _f: sync_db.run(
            create_filter(bench.tenant_id, w, NewFilter("orders", "true", b"{}"), bench.now)
        ),
        2,
    ),
    "a filter changed": (
        lambda bench, _w, f: sync_db.run(
            update_filter(
                bench.tenant_id,
                f,
                scope=None,
                expression="input.n > 100",
                payload=None,
                now=bench.now,
            )
        ),
        0,
    ),
    "the filter gone": (
        lambda bench, _w, f: sync_db.run(delete_filter(bench.tenant_id, f)),
        1,
    ),
    "the workflow gone": (
        lambda bench, w, _f: sync_db.run(delete_workflow(bench.tenant_id, w, bench.now)),
        0,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_since_is_noticed_before_anything_is_written(
    bench: Bench, push: Pushes, change: str
) -> None:
    made = bench.put(step("a"), name="one", event_triggers=("order:paid",))
    new = NewFilter("orders", "input.n > 1", b"{}")
    row = sync_db.run(create_filter(bench.tenant_id, made.workflow_id, new, bench.now))
    assert push(order()) == 1
    act, runs = CHANGES[change]
    act(bench, made.workflow_id, row)
    with pytest.raises(TargetsChanged):
        push(order())
    assert Event.objects.count() == 1
    push.known.forget({bench.tenant_id})
    assert push(order()) == runs


@pytest.mark.django_db
def test_a_step_that_waits_for_the_event_is_noticed() -> None:
    waiting = StepCondition(ConditionKind.EVENT, ConditionAction.QUEUE, 0, "order:paid", "paid", "")
    flow = Flow(step("a", conditions=(waiting,)))
    known, records = KnownTargets(), records_of([order()], [new_id()], flow.now)
    known.learn(flow.tenant_id, records, [], [])
    _hold(flow.tenant_id, known, records)
    flow.trigger()
    with pytest.raises(DatabaseError, match="other targets"):
        _hold(flow.tenant_id, known, records)


@pytest.mark.django_db
def test_a_durable_task_that_waits_for_the_event_is_noticed() -> None:
    flow = DurableFlow()
    known, records = KnownTargets(), records_of([order()], [new_id()], flow.now)
    known.learn(flow.tenant_id, records, [], [])
    _hold(flow.tenant_id, known, records)
    flow.wait(event("order:paid"))
    with pytest.raises(DatabaseError, match="other targets"):
        _hold(flow.tenant_id, known, records)


def _hold(tenant_id: UUID, known: KnownTargets, records: list[EventRecord]) -> None:
    targets = known.find(tenant_id, records)
    assert targets
    sync_db.run(fetch(hold(tenant_id, targets)))


def test_many_different_events_at_once_are_looked_up(push: Pushes) -> None:
    inputs = [order(key=f"order:{n}") for n in range(30)]
    assert [push(*inputs), push(*inputs)] == [0, 0]
    assert push.round_trips == 1
    assert push.known.find(push._bench.tenant_id, push.records) is None


def test_filters_that_are_large_are_not_kept_in_memory(bench: Bench, push: Pushes) -> None:
    large = DefaultFilter("input.n > 1", "orders", '{"x":"%s"}' % ("x" * 20_000))
    bench.put(step("a"), name="one", event_triggers=("order:paid",), default_filters=(large,))
    assert [push(order()), push(order())] == [1, 1]
    assert push.round_trips == 2


def test_another_tenants_targets_are_not_used(bench: Bench, push: Pushes) -> None:
    bench.put(step("a"), name="one", event_triggers=("order:paid",))
    assert push(order()) == 1
    assert push.known.find(new_id(), push.records) is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT engine_event_targets(%s, 'order:paid', '')", [new_id()])
        assert cursor.fetchone() == (";",)
