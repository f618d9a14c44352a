"""What the views of `hatchet_v1` show, and to whom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection

from engine.models import Task
from engine.states import Status
from tests.operations.contract import Contract


@pytest.fixture
def contract(db: None) -> Contract:
    return Contract()


class TestViews:
    def test_they_show_what_is_the_tenants_and_nothing_else(self, contract: Contract) -> None:
        others = Contract()
        for one in (contract, others):
            run_id = one.enqueue({"secret": str(one.bench.tenant_id)})
            one.call("hatchet_v1.push_event('key')")
            one.call("hatchet_v1.schedule('flow', now() + interval '1 day')")
            one.take()
            one.bench.assign(run_id)
            one.bench.report(one.bench.failed(run_id, b"boom", should_not_retry=True))
        for one in (contract, others):
            one.enqueue()
        for view in ("runs", "tasks", "attempts", "events", "schedules", "outbox"):
            rows = contract.rows(view)
            assert len(rows) == 1, view
            assert str(others.bench.tenant_id) not in json.dumps(rows)
        assert len(contract.rows("slots")) == len(contract.rows("waits")) == 0
        (attempt,) = contract.rows("attempts")
        assert (attempt["outcome"], attempt["error"], attempt["retry_count"]) == (
            "FAILED",
            "boom",
            0,
        )
        (task,) = contract.rows("tasks")
        assert (task["status"], task["name"], task["error"]) == ("FAILED", "work", "boom")

    def test_queues_count_what_waits_and_what_runs(self, contract: Contract) -> None:
        ids = [contract.enqueue() for _ in range(3)]
        contract.take()
        contract.bench.assign(ids[0])
        (queue,) = contract.rows("queues")
        assert (queue["queue"], queue["waiting"], queue["running"]) == ("flow:work", 2, 1)

    def test_a_function_that_looks_into_rows_sees_none_of_others(self, contract: Contract) -> None:
        """What is not the tenant's is left out before any function of the reader's is asked."""
        other = Contract()
        other.enqueue()
        other.take()
        contract.enqueue()
        contract.take()
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE FUNCTION public.peek(id uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0001"
                " AS $$ BEGIN RAISE NOTICE '%', id; RETURN true; END $$"
            )
        seen: list[Any] = []
        connection.connection.add_notice_handler(seen.append)
        assert len(contract.rows("runs", "public.peek(id)")) == 1
        assert len(seen) == 1

    def test_a_payload_that_is_no_plain_json_is_null(self, contract: Contract) -> None:
        run_id = contract.enqueue({"a": 1})
        contract.take()
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE engine_payload SET data = '\\x00ff' WHERE owner_id = %s", [run_id]
            )
        assert contract.rows("runs")[0]["input"] is None


def test_the_numbers_of_statuses_and_kinds_are_those_of_the_engine(contract: Contract) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(hatchet_v1.status_name(n) ORDER BY n) FROM generate_series(0, 4) n"
        )
        (names,) = cursor.fetchone()
    assert names == [status.name for status in Status]
    assert Task.objects.count() == 0
