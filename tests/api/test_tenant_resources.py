"""Workflows, workers, events and metrics of a tenant."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from engine.models import Run, RunTally, Worker
from engine.states import Status
from tests.api.client import ApiClient
from tests.api.factories import (
    begin,
    complete,
    fail,
    make_worker,
    make_workflow,
    now,
    push_event,
    start_run,
    step,
    tasks_of,
)
from tests.cast import Cast


@pytest.fixture
def tenant(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}"


@pytest.fixture
def stable(cast: Cast) -> str:
    return f"/api/v1/stable/tenants/{cast.tenant.id}"


class TestWorkflows:
    def test_names_match_in_part_and_the_exact_one_comes_first(
        self, cast: Cast, api: ApiClient, tenant: str
    ) -> None:
        for name in ("send-mail", "Send", "send", "other"):
            make_workflow(cast.tenant, name)
        make_workflow(cast.other_tenant, "send-theirs")
        path = f"{tenant}/workflows"
        names = [row["name"] for row in api.get(path, {"name": "send"}).json["rows"]]
        assert names == ["send", "Send", "send-mail"]
        assert [row["name"] for row in api.get(path).json["rows"]] == [
            "other",
            "send",
            "Send",
            "send-mail",
        ]
        assert api.get(path, {"name": "%"}).json["rows"] == []

    def test_the_latest_version_and_a_chosen_one(self, cast: Cast, api: ApiClient) -> None:
        first = make_workflow(cast.tenant, "w", step("a"), event_triggers=("x:*",))
        second = make_workflow(cast.tenant, "w", step("a"), step("b", "a"))
        path = f"/api/v1/workflows/{first.workflow_id}"
        latest = api.get(f"{path}/versions").json
        assert (latest["version"], latest["order"]) == (str(second.version_id), 2)
        assert [step["readableId"] for step in latest["jobs"][0]["steps"]] == ["a", "b"]
        assert latest["jobs"][0]["steps"][0]["children"] == ["b"]
        chosen = api.get(f"{path}/versions", {"version": str(first.version_id)}).json
        assert chosen["triggers"]["events"][0]["event_key"] == "x:*"
        assert [row["order"] for row in api.get(path).json["versions"]] == [2, 1]
        assert api.get(f"{path}/versions", {"version": str(UUID(int=1))}).status == 404

    def test_deleting_frees_the_name_and_keeps_the_history(
        self, cast: Cast, api: ApiClient, tenant: str
    ) -> None:
        workflow_id = make_workflow(cast.tenant).workflow_id
        run = start_run(cast.tenant)
        path = f"/api/v1/workflows/{workflow_id}"
        answer = api.delete(path)
        assert (answer.status, answer.content) == (204, b"")
        assert api.delete(path).status == 404
        assert api.get(f"{tenant}/workflows").json["rows"] == []
        assert api.get(f"/api/v1/stable/workflow-runs/{run.id}").status == 200
        assert make_workflow(cast.tenant).workflow_id != workflow_id


class TestWorkers:
    def test_the_status_follows_heartbeat_and_pause(
        self, cast: Cast, api: ApiClient, tenant: str
    ) -> None:
        make_worker(cast.tenant, "fresh")
        make_worker(cast.tenant, "paused", is_paused=True)
        make_worker(cast.tenant, "late", last_heartbeat_at=now() - timedelta(seconds=6))
        make_worker(cast.tenant, "gone", last_heartbeat_at=now() - timedelta(hours=25))
        make_worker(cast.tenant, "deaf", stalled_since=now())
        make_worker(cast.other_tenant, "theirs")
        rows = api.get(f"{tenant}/worker").json["rows"]
        assert {row["name"]: row["status"] for row in rows} == {
            "fresh": "ACTIVE",
            "paused": "PAUSED",
            "late": "INACTIVE",
            "deaf": "INACTIVE",
        }
        trouble = {row["name"]: row.get("trouble", "") for row in rows}
        assert trouble["fresh"] == trouble["paused"] == ""
        assert "heartbeat" in trouble["late"]
        assert "does not acknowledge" in trouble["deaf"]
        paused = api.get(f"{tenant}/worker", {"statuses": "PAUSED"}).json["rows"]
        assert [row["name"] for row in paused] == ["paused"]

    @pytest.mark.parametrize(
        ("labels", "found"), [("gpu:a100", 1), ("memory:512", 1), ("gpu:t4", 0), ("x:y", 0)]
    )
    def test_labels_narrow_the_list(
        self, cast: Cast, api: ApiClient, tenant: str, labels: str, found: int
    ) -> None:
        make_worker(cast.tenant)
        assert len(api.get(f"{tenant}/worker", {"labels": labels}).json["rows"]) == found
        assert api.get(f"{tenant}/worker", {"labels": "nocolon"}).status == 400

    def test_slots_count_what_runs(self, cast: Cast, api: ApiClient) -> None:
        make_workflow(cast.tenant, "greet", step("greet", slots={"default": 3}))
        worker = make_worker(cast.tenant)
        run = start_run(cast.tenant)
        begin(tasks_of(run)[0], worker)
        shown = api.get(f"/api/v1/workers/{worker.id}").json
        assert shown["slotConfig"] == {"default": {"limit": 10, "available": 7}}
        assert [slot["stepRunId"] for slot in shown["slots"]] == [str(run.id)]
        assert [workflow["name"] for workflow in shown["registeredWorkflows"]] == ["greet"]

    def test_pausing_and_resuming(self, cast: Cast, api: ApiClient) -> None:
        worker = make_worker(cast.tenant)
        path = f"/api/v1/workers/{worker.id}"
        assert api.patch(path, {"isPaused": True}).json["status"] == "PAUSED"
        assert Worker.objects.get(id=worker.id).is_paused
        assert api.patch(path, {}).json["status"] == "PAUSED"
        assert api.patch(path, {"isPaused": False}).json["status"] == "ACTIVE"
        assert api.patch(path, {"isPaused": "yes"}).status == 400

    def test_the_number_of_queries_does_not_grow_with_the_list(
        self, cast: Cast, api: ApiClient, tenant: str
    ) -> None:
        make_workflow(cast.tenant)

        def queries() -> int:
            begin(tasks_of(start_run(cast.tenant))[0], make_worker(cast.tenant))
            api.get(f"{tenant}/worker")  # asks what the token stands for, once
            with CaptureQueriesContext(connection) as captured:
                api.get(f"{tenant}/worker")
            return len(captured)

        queries()
        assert queries() == queries()


class TestEvents:
    def test_an_event_lists_the_runs_it_started(
        self, cast: Cast, api: ApiClient, stable: str
    ) -> None:
        make_workflow(cast.tenant, "on-order", event_triggers=("order:*",))
        event = push_event(cast.tenant, "order:paid", {"n": 1}, metadata={"a": "b"}, scope="eu")
        run = Run.objects.get(event_id=event.event_id)
        complete(tasks_of(run)[0], {})
        (row,) = api.get(f"{stable}/events").json["rows"]
        assert row["metadata"]["id"] == str(event.event_id)
        assert row["triggeredRuns"] == [{"workflowRunId": str(run.id)}]
        assert row["workflowRunSummary"] == {
            "queued": 0,
            "running": 0,
            "succeeded": 1,
            "failed": 0,
            "cancelled": 0,
        }
        assert (row["key"], row["payload"], row["scope"]) == ("order:paid", {"n": 1}, "eu")
        assert row["additionalMetadata"] == {"a": "b"}
        assert api.get(f"{stable}/events/{event.event_id}").json == row
        data = api.get(f"/api/v1/events/{event.event_id}/data").json
        assert data == {"data": '{"n":1}'}

    @pytest.mark.parametrize(
        ("query", "keys"),
        [
            ({}, ["b", "a"]),
            ({"keys": "a"}, ["a"]),
            ({"keys": ["a", "b"]}, ["b", "a"]),
            ({"scopes": "eu"}, ["a"]),
            ({"additionalMetadata": ["x:1", "y:2"]}, ["a"]),
            ({"additionalMetadata": ["x:1", "y:3"]}, []),
            ({"workflowRunStatuses": "QUEUED"}, ["a"]),
            ({"workflowRunStatuses": "FAILED"}, []),
            ({"until": "2020-01-01T00:00:00Z"}, []),
            ({"limit": 1}, ["b"]),
        ],
    )
    def test_lists_are_narrowed(
        self, cast: Cast, api: ApiClient, stable: str, query: dict[str, Any], keys: list[str]
    ) -> None:
        make_workflow(cast.tenant, "on-a", event_triggers=("a",))
        push_event(cast.tenant, "a", metadata={"x": 1, "y": "2"}, scope="eu")
        push_event(cast.tenant, "b")
        push_event(cast.other_tenant, "theirs")
        rows = api.get(f"{stable}/events", query).json["rows"]
        assert [row["key"] for row in rows] == keys
        assert api.get(f"{stable}/events/keys").json["rows"] == ["a", "b"]

    def test_events_are_found_by_id_and_workflow(
        self, cast: Cast, api: ApiClient, stable: str
    ) -> None:
        workflow = make_workflow(cast.tenant, "on-a", event_triggers=("a",))
        a, b = push_event(cast.tenant, "a"), push_event(cast.tenant, "b")
        for query, event in (
            ({"eventIds": str(b.event_id)}, b),
            ({"workflowIds": str(workflow.workflow_id)}, a),
        ):
            rows = api.get(f"{stable}/events", query).json["rows"]
            assert [row["metadata"]["id"] for row in rows] == [str(event.event_id)]


class TestMetrics:
    def _counts(self, api: ApiClient, stable: str, since: datetime, **query: Any) -> dict[str, int]:
        asked = {"since": since.isoformat()} | query
        rows = api.get(f"{stable}/task-metrics", asked).json
        assert [row["status"] for row in rows] == [
            "CANCELLED",
            "COMPLETED",
            "FAILED",
            "QUEUED",
            "RUNNING",
        ]
        assert rows[-1]["runningDetailCount"]["onWorker"] == rows[-1]["count"]
        return {row["status"]: row["count"] for row in rows if row["count"]}

    def test_counts_come_from_tally_and_rows_alike(
        self, cast: Cast, api: ApiClient, stable: str
    ) -> None:
        make_workflow(cast.tenant)
        make_workflow(cast.other_tenant)
        start_run(cast.other_tenant)
        since = now() - timedelta(minutes=5)
        start_run(cast.tenant, metadata={"a": "1"})
        begin(tasks_of(start_run(cast.tenant, metadata={"a": "1"}))[0])
        complete(tasks_of(start_run(cast.tenant))[0], {})
        fail(tasks_of(start_run(cast.tenant))[0], "broken")
        every = {"QUEUED": 1, "RUNNING": 1, "COMPLETED": 1, "FAILED": 1}
        assert self._counts(api, stable, since) == every
        filtered = self._counts(api, stable, since, additional_metadata="a:1")
        assert filtered == {"QUEUED": 1, "RUNNING": 1}
        assert self._counts(api, stable, since, workflow_ids=str(UUID(int=1))) == {}
        assert api.get(f"{stable}/task-metrics").status == 400

    def test_broken_minutes_at_both_ends_are_counted_exactly(
        self, cast: Cast, api: ApiClient, stable: str
    ) -> None:
        make_workflow(cast.tenant)
        base = (now() - timedelta(hours=1)).replace(second=0, microsecond=0)
        for seconds in (10, 50, 90, 150, 190, 230):
            _run_created_at(cast, base + timedelta(seconds=seconds))
        for start, end, number in (
            (30, 200, 4),
            (0, 240, 6),
            (60, 120, 1),
            (40, 50, 1),
            (51, 59, 0),
        ):
            since, until = base + timedelta(seconds=start), base + timedelta(seconds=end)
            counts = self._counts(api, stable, since, until=until.isoformat())
            assert counts.get("QUEUED", 0) == number
        assert self._counts(api, stable, base + timedelta(seconds=60))["QUEUED"] == 4

    def test_points_fill_every_bucket_and_hold_every_run(
        self, cast: Cast, api: ApiClient, stable: str
    ) -> None:
        make_workflow(cast.tenant)
        complete(tasks_of(start_run(cast.tenant))[0], {})
        fail(tasks_of(start_run(cast.tenant))[0], "broken")
        path = f"{stable}/task-point-metrics"
        for span, buckets in ((timedelta(hours=1), 61), (timedelta(hours=24), 49)):
            since = now() - span
            points = api.get(path, {"createdAfter": since.isoformat()}).json["results"]
            assert abs(len(points) - buckets) <= 1
            assert sum(point["SUCCEEDED"] for point in points) == 1
            assert sum(point["FAILED"] for point in points) == 1
        assert (
            api.get(path, {"createdAfter": (now() + timedelta(hours=1)).isoformat()}).status == 400
        )
        assert api.get(path, {"createdAfter": "1970-01-01T00:00:00Z"}).status == 400

    def test_queues_and_tasks_are_counted_live(
        self, cast: Cast, api: ApiClient, tenant: str
    ) -> None:
        make_workflow(cast.tenant)
        start_run(cast.tenant)
        start_run(cast.tenant)
        begin(tasks_of(start_run(cast.tenant))[0])
        assert api.get(f"{tenant}/step-run-queue-metrics").json == {"queues": {"acts:greet": 2}}
        stats = api.get(f"{tenant}/task-stats").json
        assert (stats["greet"]["queued"]["total"], stats["greet"]["running"]["total"]) == (2, 1)
        asked = api.get(f"{tenant}/task-stats", {"taskNames": "quiet,calm"}).json
        assert {name: stat["queued"]["total"] for name, stat in asked.items()} == {
            "quiet": 0,
            "calm": 0,
        }


def _run_created_at(cast: Cast, moment: datetime) -> None:
    """A queued run of another time: its row, its id and its tally say the same."""
    from engine.ids import id_at

    run = start_run(cast.tenant)
    RunTally.objects.all().delete()
    Run.objects.filter(id=run.id).delete()
    Run.objects.filter(id=id_at(moment)).delete()
    run.id, run.created_at, run.status = id_at(moment), moment, Status.QUEUED
    run.save(force_insert=True)
    RunTally.objects.all().delete()
    for other in Run.objects.filter(tenant_id=cast.tenant.id):
        RunTally.objects.create(
            tenant_id=other.tenant_id,
            workflow_id=other.workflow_id,
            minute=other.created_at.replace(second=0, microsecond=0),
            status=other.status,
            delta=1,
        )
