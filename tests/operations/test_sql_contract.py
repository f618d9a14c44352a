"""What `hatchet_v1` promises to programs of the same database, and whom it refuses."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from engine.domain.definition import Idempotency
from engine.ids import new_id, time_of
from engine.models import Event, OutboxRow, Run, Schedule
from engine.operations import take_outbox
from engine.operations.take_outbox import dismiss_wish, retry_wish
from engine.states import Status
from engine.store import outbox, sync_db
from tests.operations.bench import step
from tests.operations.contract import Contract, refused


@pytest.fixture
def contract(db: None) -> Contract:
    return Contract()


class TestEnqueueing:
    def test_the_run_has_the_id_that_was_returned_and_what_was_asked(
        self, contract: Contract
    ) -> None:
        run_id = contract.enqueue({"n": 12345678901234567890}, priority=3, metadata={"a": "b"})
        assert not Run.objects.filter(id=run_id).exists()
        assert contract.take().rows == 1
        run = contract.bench.run(run_id)
        assert (run.priority, run.additional_metadata) == (3, {"a": "b"})
        assert contract.bench.status(run_id) is Status.QUEUED
        assert contract.rows("runs")[0]["input"] == {"n": 12345678901234567890}
        assert contract.waiting() == 0
        assert [task for task, *_ in contract.bench.ready()] == [run_id]

    def test_an_id_is_a_uuid7_of_now_and_later_ones_are_larger(self, contract: Contract) -> None:
        ids = [contract.enqueue() for _ in range(5)]
        assert ids == sorted(ids)
        assert {made.version for made in ids} == {7}
        assert abs(time_of(ids[0]) - timezone.now()) < timedelta(minutes=5)

    def test_many_are_taken_in_the_order_they_were_given(self, contract: Contract) -> None:
        with contract.acting() as cursor:
            cursor.execute(
                "SELECT hatchet_v1.enqueue_many('flow', %s::jsonb[], 2, '{\"batch\": 1}')",
                [[json.dumps({"n": n}) for n in range(700)]],
            )
            ids = [run_id for (run_id,) in cursor.fetchall()]
        assert [contract.take().rows for _ in range(3)] == [500, 200, 0]
        runs = Run.objects.filter(id__in=ids).order_by("id")
        assert [run.id for run in runs] == ids
        assert {run.priority for run in runs} == {2}
        assert [row["input"]["n"] for row in contract.rows("runs", "true ORDER BY id")] == [
            *range(700)
        ]

    def test_one_that_waits_is_taken_when_it_is_due(self, contract: Contract) -> None:
        due_at = timezone.now() + timedelta(hours=1)
        run_id = contract.enqueue(run_after=due_at)
        assert abs(time_of(run_id) - due_at) < timedelta(milliseconds=2)
        assert sync_db.read(outbox.wake(due_at - timedelta(seconds=1), 10)) == [(0, due_at)]
        assert contract.take().rows == 0
        assert sync_db.read(outbox.wake(due_at, 10)) == [(1, None)]
        assert contract.take().rows == 1
        assert contract.bench.status(run_id) is Status.QUEUED

    def test_a_key_names_one_run_until_it_expires(self, contract: Contract) -> None:
        first = contract.enqueue(key="order-1", key_ttl="1 hour")
        assert contract.enqueue(key="order-1") == first
        assert contract.enqueue(key="order-2") != first
        assert contract.call("hatchet_v1.find('order-1')") == first
        assert contract.call("hatchet_v1.find('nobody')") is None
        assert contract.waiting() == 2
        with connection.cursor() as cursor:
            cursor.execute("UPDATE engine_outboxkey SET expires_at = now() - interval '1 second'")
        assert contract.call("hatchet_v1.find('order-1')") is None
        assert contract.enqueue(key="order-1") != first

    def test_keys_of_two_tenants_are_two_keys(self, contract: Contract) -> None:
        first = contract.enqueue(key="k")
        other = Contract()
        assert other.call("hatchet_v1.find('k')") is None
        assert other.enqueue(key="k") != first

    def test_a_deleted_workflow_fails_its_rows_alone(self, contract: Contract) -> None:
        contract.bench.put(step("late"), name="late")
        bad = contract.enqueue(workflow="late")
        at = timezone.now() + timedelta(days=1)
        schedule_id = contract.call("hatchet_v1.schedule('late', %s)", at)
        good = contract.enqueue()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE engine_workflow SET deleted_at = now() WHERE name = 'late'")
        assert {(row.id, row.failure) for row in contract.take().refused} == {
            (bad, 'workflow "late" is not known'),
            (schedule_id, 'workflow "late" is not known'),
        }
        assert contract.bench.status(good) is Status.QUEUED

    def test_a_key_of_the_workflow_that_is_held_is_told(self, contract: Contract) -> None:
        once = Idempotency("input.k", 60_000)
        contract.bench.put(step("once"), name="once", idempotency=once)
        first, second = (contract.enqueue({"k": "a"}, workflow="once") for _ in range(2))
        keyless = contract.enqueue({"k": 1}, workflow="once")
        refused = {row.id: row.failure for row in contract.take().refused}
        assert refused[second] == f"its idempotency key is held by the run {first}"
        assert "must come to a string" in refused[keyless]
        assert contract.bench.status(first) is Status.QUEUED

    def test_large_inputs_come_one_after_the_other(
        self, contract: Contract, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(take_outbox, "MOST_BYTES", 100_000)
        runs = [contract.enqueue({"a": "x" * 90_000}) for _ in range(2)]
        assert [contract.take().rows for _ in range(3)] == [1, 1, 0]
        assert {row["id"]: len(row["input"]["a"]) for row in contract.rows("runs")} == {
            str(run_id): 90_000 for run_id in runs
        }


class TestOtherWishes:
    def test_an_event_is_pushed_under_the_id_that_was_returned(self, contract: Contract) -> None:
        contract.bench.put(step("on"), name="listener", event_triggers=("order.*",))
        event_id = contract.call(
            "hatchet_v1.push_event('order.paid', '{\"n\": 1}', scope => 'eu', metadata => '{\"a\": 1}')"
        )
        contract.take()
        event = Event.objects.get(id=event_id)
        assert (event.key, event.scope, event.additional_metadata) == (
            "order.paid",
            "eu",
            {"a": 1},
        )
        assert Run.objects.get(event_id=event_id).event_key == "order.paid"
        assert contract.rows("events")[0]["payload"] == {"n": 1}

    def test_a_schedule_is_one_like_any_other(self, contract: Contract) -> None:
        at = timezone.now() + timedelta(days=1)
        schedule_id = contract.call("hatchet_v1.schedule('flow', %s, '{\"n\": 2}')", at)
        contract.take()
        assert Schedule.objects.get(id=schedule_id).due_at == at
        assert contract.bench.changes.timetables == {contract.bench.tenant_id}
        (shown,) = contract.rows("schedules")
        assert (shown["workflow"], shown["is_pending"], shown["input"]) == ("flow", True, {"n": 2})

    def test_what_runs_is_cancelled(self, contract: Contract) -> None:
        run_id = contract.enqueue()
        contract.take()
        contract.call("hatchet_v1.cancel(%s)::text", run_id)
        contract.take()
        assert contract.bench.status(run_id) is Status.CANCELLED

    def test_what_nothing_was_made_of_is_withdrawn(self, contract: Contract) -> None:
        waits = contract.enqueue(run_after=timezone.now() + timedelta(days=1))
        at = timezone.now() + timedelta(days=1)
        schedule_id = contract.call("hatchet_v1.schedule('flow', %s)", at)
        contract.take()
        for target in (waits, schedule_id, new_id()):
            contract.call("hatchet_v1.cancel(%s)::text", target)
        assert contract.take().refused == []
        assert contract.waiting() == Schedule.objects.count() == Run.objects.count() == 0

    def test_enqueued_and_cancelled_in_one_transaction_is_cancelled(
        self, contract: Contract
    ) -> None:
        run_id = contract.enqueue()
        contract.call("hatchet_v1.cancel(%s)::text", run_id)
        contract.take()
        assert contract.bench.status(run_id) is Status.CANCELLED

    def test_another_tenants_run_is_not_cancelled(self, contract: Contract) -> None:
        run_id = contract.enqueue()
        contract.take()
        other = Contract()
        other.call("hatchet_v1.cancel(%s)::text", run_id)
        other.take()
        assert contract.bench.status(run_id) is Status.QUEUED


class TestCompleting:
    @pytest.fixture
    def running(self, contract: Contract) -> UUID:
        task_id = contract.enqueue()
        contract.take()
        contract.bench.assign(task_id)
        return task_id

    def complete(self, contract: Contract, task_id: UUID, attempt: int = 0) -> None:
        contract.call("hatchet_v1.complete(%s, %s, '{\"n\": 1}')::text", task_id, attempt)

    def test_the_attempt_is_completed_with_its_output(
        self, contract: Contract, running: UUID
    ) -> None:
        self.complete(contract, running)
        assert contract.bench.status(running) is Status.RUNNING
        contract.take()
        assert contract.bench.status(running) is Status.COMPLETED
        assert contract.bench.output(running) == b'{"n": 1}'
        assert contract.rows("tasks")[0]["output"] == {"n": 1}

    def test_a_second_completion_is_refused(self, contract: Contract, running: UUID) -> None:
        self.complete(contract, running)
        with refused("55000", "has been completed by another transaction"):
            self.complete(contract, running)
        contract.take()
        with refused("55000", "does not run"):
            self.complete(contract, running)

    def test_an_attempt_that_is_over_completes_nothing(
        self, contract: Contract, running: UUID
    ) -> None:
        with refused("55000", "attempt 1 of task"):
            self.complete(contract, running, 1)
        contract.bench.cancel(running)
        with refused("55000", "attempt 0 of task"):
            self.complete(contract, running)

    def test_another_tenants_task_is_unknown(self, contract: Contract, running: UUID) -> None:
        other = Contract()
        with refused("55000", "does not run"):
            self.complete(other, running)

    def test_the_next_attempt_is_completed_by_what_the_one_before_committed(
        self, contract: Contract
    ) -> None:
        contract.bench.put(step("work", retries=3))
        task_id = contract.enqueue()
        contract.take()
        contract.bench.assign(task_id)
        self.complete(contract, task_id)
        contract.bench.report(contract.bench.failed(task_id))
        assert contract.take().refused == []
        assert contract.waiting() == 1, "it waits until the next attempt runs"
        contract.bench.assign(task_id)
        OutboxRow.objects.update(due_at=None)
        contract.take()
        assert contract.bench.task_status(task_id) is Status.COMPLETED

    def test_one_that_came_too_late_is_shown(self, contract: Contract, running: UUID) -> None:
        self.complete(contract, running)
        contract.bench.cancel(running)
        (row,) = contract.take().refused
        assert row.failure == "the task had ended as CANCELLED when its completion was committed"
        assert contract.rows("outbox")[0]["failure"] == row.failure
        sync_db.run(retry_wish(contract.bench.tenant_id, row.id))
        assert len(contract.take().refused) == 1
        sync_db.run(dismiss_wish(contract.bench.tenant_id, row.id))
        assert contract.waiting() == 0
