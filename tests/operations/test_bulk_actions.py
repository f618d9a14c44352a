"""A bulk action comes to every run its filter selects once, a few in a transaction."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from engine.errors import FailedPrecondition, ResourceExhausted
from engine.ids import id_at, new_id
from engine.models import BulkAction
from engine.operations import change_bulk_actions, work_bulk_actions
from engine.operations.change_bulk_actions import (
    stage_bulk_action,
    start_bulk_action,
    stop_bulk_action,
)
from engine.operations.work_bulk_actions import advance_bulk_action, fail_bulk_action
from engine.states import BulkKind, BulkState, Status
from engine.store import bulk_actions, sync_db
from engine.store.query import fetch
from engine.types import RunFilter
from tests.operations.bench import START, Bench

FAR_AWAY = START + timedelta(days=36_500)
X, C, Q = Status.CANCELLED, Status.COMPLETED, Status.QUEUED


class Action:
    """A bulk action of the bench's tenant."""

    def __init__(self, bench: Bench, kind: BulkKind = BulkKind.CANCEL, *statuses: Status) -> None:
        self.bench, self.id = bench, new_id()
        run_filter = RunFilter(since=START, until=FAR_AWAY, statuses=statuses)
        sync_db.run(
            stage_bulk_action(bench.tenant_id, self.id, kind, run_filter, total=5, now=bench.now)
        )

    @property
    def row(self) -> BulkAction:
        return BulkAction.objects.get(id=self.id)

    @property
    def state(self) -> BulkState:
        return BulkState(self.row.state)

    def start(self) -> None:
        sync_db.run(start_bulk_action(self.bench.tenant_id, self.id, self.bench.now))

    def stop(self) -> None:
        sync_db.run(stop_bulk_action(self.bench.tenant_id, self.id, self.bench.now))

    def advance(self) -> bool:
        return sync_db.run(advance_bulk_action(self.id, self.bench.now))


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_bulk_actions, "AT_ONCE", 2)


@pytest.fixture
def run_ids(bench: Bench) -> list[UUID]:
    """Five runs, the newest first."""
    bench.put()
    return [bench.trigger()[0] for _ in range(5)][::-1]


def cancelled(bench: Bench, run_ids: list[UUID]) -> list[bool]:
    return [bench.status(run_id) is X for run_id in run_ids]


def test_nothing_is_done_before_it_is_started(bench: Bench, run_ids: list[UUID]) -> None:
    action = Action(bench)
    assert not action.advance()
    assert action.state is BulkState.STAGED
    assert not any(cancelled(bench, run_ids))


def test_each_transaction_goes_on_where_the_last_one_ended(
    bench: Bench, run_ids: list[UUID]
) -> None:
    action = Action(bench)
    action.start()
    assert action.advance()
    assert cancelled(bench, run_ids) == [True, True, False, False, False]
    assert (action.row.cursor, action.row.done, action.row.changed) == (run_ids[1], 2, 2)
    assert action.advance()
    assert not action.advance()
    assert all(cancelled(bench, run_ids))
    row = action.row
    assert (row.state, row.done, row.changed) == (BulkState.COMPLETED, 5, 5)
    assert row.finished_at == bench.now
    assert not action.advance()
    assert action.row.done == 5


def test_a_filter_that_selects_nothing_is_done_at_once(bench: Bench, run_ids: list[UUID]) -> None:
    action = Action(bench, BulkKind.CANCEL, C)
    action.start()
    assert not action.advance()
    assert (action.state, action.row.done) == (BulkState.COMPLETED, 0)


def test_what_is_made_afterwards_is_left_alone(bench: Bench, run_ids: list[UUID]) -> None:
    action = Action(bench)
    action.start()
    action.advance()
    (late,) = bench.trigger()
    while action.advance():
        pass
    assert bench.status(late) is Q


def test_a_replay_comes_to_no_run_twice(bench: Bench, run_ids: list[UUID]) -> None:
    for run_id in run_ids:
        bench.run_to_end(run_id)
    action = Action(bench, BulkKind.REPLAY, C, Q)
    action.start()
    while action.advance():
        pass
    assert [bench.task(run_id).retry_count for run_id in run_ids] == [1] * 5
    assert (action.row.done, action.row.changed) == (5, 5)


def test_one_that_was_stopped_goes_on(bench: Bench, run_ids: list[UUID]) -> None:
    action = Action(bench)
    action.start()
    action.advance()
    action.stop()
    assert not action.advance()
    assert cancelled(bench, run_ids).count(True) == 2
    action.start()
    while action.advance():
        pass
    assert all(cancelled(bench, run_ids))
    assert action.row.done == 5


def test_only_what_is_open_can_be_started_or_stopped(bench: Bench, run_ids: list[UUID]) -> None:
    action = Action(bench)
    action.start()
    with pytest.raises(FailedPrecondition):
        action.start()
    while action.advance():
        pass
    for change in (action.start, action.stop):
        with pytest.raises(FailedPrecondition):
            change()
    other = Action(bench)
    with pytest.raises(FailedPrecondition):
        sync_db.run(start_bulk_action(new_id(), other.id, bench.now))
    assert other.state is BulkState.STAGED


def test_one_that_cannot_go_on_says_why(bench: Bench, run_ids: list[UUID]) -> None:
    action = Action(bench)
    sync_db.run(fail_bulk_action(action.id, "broken", bench.now))
    assert action.state is BulkState.STAGED
    action.start()
    sync_db.run(fail_bulk_action(action.id, "broken", bench.now))
    assert (action.state, action.row.error) == (BulkState.FAILED, "broken")
    assert not action.advance()


def test_a_tenant_has_only_so_many_open(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_bulk_actions, "MOST_OPEN", 1)
    first = Action(bench)
    with pytest.raises(ResourceExhausted):
        Action(bench)
    first.stop()
    Action(bench)


def test_old_ones_are_forgotten_unless_they_run(bench: Bench) -> None:
    old, running = Action(bench), Action(bench)
    running.start()
    BulkAction.objects.filter(id=old.id).update(id=id_at(START))
    BulkAction.objects.filter(id=running.id).update(id=id_at(START + timedelta(seconds=1)))
    young = Action(bench)
    sync_db.run(fetch(bulk_actions.forget(id_at(START + timedelta(hours=1)))))
    left = set(BulkAction.objects.values_list("id", flat=True))
    assert left == {id_at(START + timedelta(seconds=1)), young.id}
