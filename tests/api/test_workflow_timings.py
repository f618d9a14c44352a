"""Percentiles of queue and run time by workflow and version come from what was counted, for a window."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from engine.domain.histogram import bucket_of
from engine.ids import new_id
from engine.models import WorkflowTiming
from engine.states import Timed
from tests.api.client import ApiClient
from tests.api.factories import complete, make_workflow, now, start_run, tasks_of
from tests.cast import Cast
from tests.operations.counted import begin_counting, count_on


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-timings"


def note(cast: Cast, workflow_id: UUID, since: datetime, *seconds: float, **more: Any) -> UUID:
    """Write what a minute would hold; return the version."""
    version_id = more.pop("version_id", None) or new_id()
    buckets = sorted({bucket_of(each) for each in seconds})
    WorkflowTiming.objects.create(
        **{
            "tenant_id": cast.tenant.id,
            "since": since,
            "is_hour": False,
            "version_id": version_id,
            "timed": Timed.RUN,
            "workflow_id": workflow_id,
            "buckets": buckets,
            "counts": [sum(bucket_of(each) == bucket for each in seconds) for bucket in buckets],
            "total_seconds": sum(seconds),
        }
        | more
    )
    return UUID(str(version_id))


def test_minutes_are_added_up_by_version(cast: Cast, api: ApiClient, path: str) -> None:
    begin_counting()
    workflow_id = make_workflow(cast.tenant).workflow_id
    minute = now().replace(second=0, microsecond=0) - timedelta(minutes=10)
    version = note(cast, workflow_id, minute, *[1.0] * 50)
    note(
        cast,
        workflow_id,
        minute + timedelta(minutes=1),
        *[1.0] * 45,
        *[60.0] * 5,
        version_id=version,
    )
    note(cast, workflow_id, minute, 3.0, version_id=version, timed=Timed.QUEUE)
    other = note(cast, workflow_id, minute, 5.0)
    note(cast, workflow_id, minute, 9.0, tenant_id=cast.other_tenant.id)
    answer = api.get(path).json
    assert "countedUntil" in answer
    rows = {row["workflowVersionId"]: row for row in answer["rows"]}
    assert set(rows) == {str(version), str(other)}
    told = rows[str(version)]
    assert (told["workflowName"], told["workflowId"]) == ("greet", str(workflow_id))
    assert told["run"]["count"] == 100
    assert told["run"]["meanMs"] == pytest.approx(3_950)
    assert told["run"]["p50Ms"] == pytest.approx(1_000, rel=0.05)
    assert told["run"]["p99Ms"] == pytest.approx(60_000, rel=0.05)
    assert told["queue"]["p95Ms"] == pytest.approx(3_000, rel=0.05)
    assert "queue" not in rows[str(other)]


def test_a_window_and_workflows_narrow_it(cast: Cast, api: ApiClient, path: str) -> None:
    one, other = (make_workflow(cast.tenant, name).workflow_id for name in "ab")
    minute = now().replace(second=0, microsecond=0) - timedelta(minutes=30)
    note(cast, one, minute, 1.0)
    note(cast, other, minute, 1.0)
    note(cast, one, minute - timedelta(hours=2), 1.0)
    asked = {"since": minute.isoformat(), "until": (minute + timedelta(minutes=1)).isoformat()}
    assert len(api.get(path, asked).json["rows"]) == 2
    assert len(api.get(path, asked | {"workflow_ids": str(one)}).json["rows"]) == 1
    assert (
        api.get(path, asked | {"since": asked["until"], "until": now().isoformat()}).json["rows"]
        == []
    )


def test_what_was_run_is_told(cast: Cast, api: ApiClient, path: str) -> None:
    begin_counting()
    version = make_workflow(cast.tenant)
    complete(tasks_of(start_run(cast.tenant))[0], {})
    count_on()
    (row,) = api.get(path).json["rows"]
    assert row["workflowVersionId"] == str(version.version_id)
    assert row["run"]["count"] == 1


def test_no_run_is_read_for_it(cast: Cast, api: ApiClient, path: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        api.get(path)
    assert not [query for query in asked.captured_queries if "engine_run " in query["sql"]]


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"since": "2020-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"workflow_ids": "greet"},
        {"until": "0001-01-01T00:00:00Z"},
        {"workflow_ids": [str(UUID(int=n)) for n in range(1001)]},
    ],
)
def test_what_makes_no_sense_is_refused(api: ApiClient, path: str, query: dict[str, Any]) -> None:
    assert api.get(path, query).status == 400
