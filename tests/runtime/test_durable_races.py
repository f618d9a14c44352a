"""Two transactions about one durable task: whichever comes first, no wake-up is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar, cast

import orjson
import psycopg
import pytest

from engine.domain.durable.calls import (
    Call,
    MemoCall,
    Node,
    SpawnCall,
    Stale,
    WaitAnswer,
    WaitCall,
)
from engine.models import DurableTask, Run, Task
from engine.operations.assign_tasks import assign_tasks
from engine.operations.durable.branch_tasks import branch_task
from engine.operations.durable.evict_tasks import Evicted, Eviction, evict_tasks
from engine.operations.durable.record_calls import record_calls
from engine.operations.durable.satisfy_entries import complete_children, expire_durable_sleeps
from engine.operations.push_events import push_events
from engine.states import Status
from engine.store import durable_waits
from engine.store.changes import Changes
from engine.store.placing import NO_PLACES, Wanting
from engine.store.query import Operation, Query, statements
from engine.types import EventInput
from tests.changes import watched
from tests.operations.durable import DurableFlow, child, event, sleep

Result = TypeVar("Result")

_PATIENCE_SECONDS = 60
_WAITERS = """
    SELECT count(*) FROM pg_stat_activity
     WHERE application_name = 'race' AND wait_event_type = 'Lock' AND datname = current_database()
"""


class Race:
    """Runs one operation without committing it, starts another that must wait for it, lets both end."""

    def __init__(self, conninfo: str) -> None:
        self._connections = [
            psycopg.connect(conninfo, application_name="race", autocommit=False) for _ in range(2)
        ]
        self._watcher = psycopg.connect(conninfo, autocommit=True)
        self._threads = ThreadPoolExecutor(max_workers=1)

    def run(
        self, first: Operation[Result], second: Operation[Any], *, waits: bool = True
    ) -> tuple[Result, Any]:
        one, two = self._connections
        result = _drive(one, first)
        later = self._threads.submit(_drive_and_commit, two, second)
        self._until(lambda: later.done() or self._is_waiting())
        assert later.done() is not waits
        one.commit()
        return result, later.result(timeout=_PATIENCE_SECONDS)

    def _is_waiting(self) -> bool:
        row = self._watcher.execute(_WAITERS).fetchone()
        return row is not None and row[0] > 0

    def _until(self, is_so: Callable[[], bool]) -> None:
        never: Future[None] = Future()
        for _ in range(_PATIENCE_SECONDS * 100):
            if is_so():
                return
            try:
                never.result(timeout=0.01)
            except TimeoutError:
                continue
        raise AssertionError("the second operation neither waits nor ends")

    def close(self) -> None:
        self._threads.shutdown()
        for connection in (*self._connections, self._watcher):
            connection.close()


def _drive(connection: psycopg.Connection[Any], operation: Operation[Result]) -> Result:
    texts = statements()
    try:
        queries = next(operation)
        while True:
            if isinstance(queries, Changes):
                queries = operation.send(())
                continue
            if isinstance(queries, Wanting):
                queries = operation.send(cast(Any, NO_PLACES))
                continue
            results: Sequence[list[Any]] = [
                [query.row(*row) for row in connection.execute(texts[query.name], query.params)]
                for query in queries
            ]
            queries = operation.send(results)
    except StopIteration as stop:
        result: Result = stop.value
        return result


def _drive_and_commit(connection: psycopg.Connection[Any], operation: Operation[Result]) -> Result:
    result = _drive(connection, operation)
    connection.commit()
    return result


@pytest.fixture
def race(conninfo: str) -> Iterator[Race]:
    race = Race(conninfo)
    yield race
    race.close()


@pytest.fixture
def flow(committed_db: None) -> DurableFlow:
    return DurableFlow()


def evict(flow: DurableFlow, *unconfirmed: Node) -> Operation[Any]:
    item = Eviction(flow.tenant_id, flow.task_id, flow.invocation, "", unconfirmed)
    return evict_tasks([item], flow.now)


def push(flow: DurableFlow, key: str, scope: str | None = None) -> Operation[Any]:
    return push_events(flow.tenant_id, [EventInput(key, orjson.dumps({}), scope=scope)], flow.now)


def record(flow: DurableFlow, body: Any) -> Operation[Any]:
    return record_calls([Call(flow.tenant_id, flow.task_id, flow.invocation, body)], flow.now)


def assert_will_go_on(flow: DurableFlow) -> None:
    task = Task.objects.get(id=flow.task_id)
    assert (task.status, task.is_evicted) == (Status.QUEUED, True)


def test_a_sleep_that_ends_while_its_task_is_being_evicted(race: Race, flow: DurableFlow) -> None:
    node = flow.wait(sleep("10s"))
    flow.now += timedelta(seconds=11)
    race.run(evict(flow, node), expire_durable_sleeps([flow.tenant_id], flow.now))
    assert_will_go_on(flow)


def test_an_eviction_that_comes_while_a_sleep_is_being_ended(race: Race, flow: DurableFlow) -> None:
    node = flow.wait(sleep("10s"))
    flow.now += timedelta(seconds=11)
    expire, changes = expire_durable_sleeps([flow.tenant_id], flow.now), Changes()
    _, outcomes = race.run(expire, watched(evict(flow, node), changes))
    assert outcomes == [Evicted.RESTORED]
    assert [task.id for _, task in changes.ready] == [flow.task_id]
    assert_will_go_on(flow)


@pytest.mark.parametrize("evicts_first", [True, False])
def test_an_event_and_an_eviction(race: Race, flow: DurableFlow, evicts_first: bool) -> None:
    node = flow.wait(event("paid"))
    both = [evict(flow, node), push(flow, "paid")]
    race.run(*(both if evicts_first else reversed(both)))
    assert_will_go_on(flow)


@pytest.mark.parametrize("evicts_first", [True, False])
def test_the_end_of_a_child_and_an_eviction(
    race: Race, flow: DurableFlow, evicts_first: bool
) -> None:
    ((node, _),) = flow.spawn(child(child_index=0))
    flow.await_(node)
    flow.run("step")
    both = [evict(flow, node), complete_children([flow.tenant_id], flow.now)]
    race.run(*(both if evicts_first else reversed(both)))
    assert_will_go_on(flow)


@pytest.mark.parametrize("registers_first", [True, False])
def test_a_wait_that_looks_back_and_the_event_it_looks_for(
    race: Race, flow: DurableFlow, registers_first: bool
) -> None:
    condition = event("paid", scope="a", since=flow.now - timedelta(seconds=5))
    both = [record(flow, WaitCall((condition,))), push(flow, "paid", "a")]
    race.run(*(both if registers_first else reversed(both)))
    assert [entry.satisfied_order for entry in flow.entries()] == [1]


def test_events_of_one_scope_do_not_wait_for_each_other(race: Race, flow: DurableFlow) -> None:
    race.run(push(flow, "paid", "a"), push(flow, "paid", "a"), waits=False)


def test_a_reset_stops_calls_that_come_after_it(race: Race, flow: DurableFlow) -> None:
    flow.wait(sleep("1h"))
    reset = branch_task(flow.tenant_id, flow.task_id, 1, 1, flow.now)
    branch, answers = race.run(reset, record(flow, WaitCall((sleep("2h"),))))
    assert (branch, answers[0].body) == (2, Stale())
    assert len(flow.entries()) == 1


def test_a_call_that_comes_before_a_reset_stays_on_the_old_branch(
    race: Race, flow: DurableFlow
) -> None:
    flow.wait(sleep("1h"))
    reset = branch_task(flow.tenant_id, flow.task_id, 1, 1, flow.now)
    answers, branch = race.run(record(flow, WaitCall((sleep("2h"),))), reset)
    assert (branch, answers[0].body) == (2, WaitAnswer(Node(1, 2)))
    assert DurableTask.objects.get(task_id=flow.task_id).branch_id == 2


def test_one_call_made_over_two_streams_starts_its_child_once(
    race: Race, flow: DurableFlow
) -> None:
    call = SpawnCall((child(child_index=0),))
    first, second = race.run(record(flow, call), record(flow, call))
    assert first[0].body == second[0].body
    assert Run.objects.filter(parent_task_id=flow.task_id).count() == 1


def test_nodes_are_given_out_one_by_one(race: Race, flow: DurableFlow) -> None:
    race.run(record(flow, MemoCall(b"a")), record(flow, MemoCall(b"b")))
    assert [entry.node_id for entry in flow.entries()] == [1, 2]


@pytest.mark.parametrize("assigns_first", [True, False])
def test_a_reset_and_an_assignment_take_their_locks_in_one_order(
    race: Race, flow: DurableFlow, assigns_first: bool
) -> None:
    flow.evict()
    flow.restore()
    assign = assign_tasks([(flow.queue["work"], flow.worker_id)], {}, flow.now)
    reset = branch_task(flow.tenant_id, flow.task_id, 1, 1, flow.now)
    changes = Changes()
    if assigns_first:
        actions, _ = race.run(assign, watched(reset, changes))
        assert [end.stop_on for end in changes.ended] == [flow.worker_id]
    else:
        _, actions = race.run(reset, assign)
    assert len(actions) == int(assigns_first)
    task = Task.objects.get(id=flow.task_id)
    assert (task.status, task.retry_count) == (Status.QUEUED, 1)


def test_what_ends_while_a_task_is_assigned_reaches_the_new_invocation(
    race: Race, flow: DurableFlow
) -> None:
    flow.wait(sleep("10s"))
    flow.evict()
    flow.restore()
    flow.now += timedelta(seconds=11)
    assign = assign_tasks([(flow.queue["work"], flow.worker_id)], {}, flow.now)
    changes = Changes()
    expire = expire_durable_sleeps([flow.tenant_id], flow.now)
    race.run(assign, watched(expire, changes))
    assert [told.invocation for _, told in changes.completions] == [2]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (lambda flow: durable_waits.for_events(flow.tenant_id, ["k7"]), "durable_wait_by_event"),
        (lambda flow: durable_waits.due([flow.tenant_id], flow.now, 10), "durable_wait_due"),
    ],
)
def test_what_ends_waits_is_found_by_an_index(
    conninfo: str, flow: DurableFlow, query: Callable[[DurableFlow], Query[Any]], index: str
) -> None:
    flow.wait(*(event(f"k{number}") for number in range(500)))
    flow.wait(*(sleep("1h", f"k{number}") for number in range(500)))
    wanted = query(flow)
    with psycopg.connect(conninfo) as connection:
        connection.execute("ANALYZE engine_durablewait")
        text = statements()[wanted.name]
        rows = connection.execute(f"EXPLAIN {text}", wanted.params).fetchall()
    assert index in "\n".join(row[0] for row in rows)
