"""How many log lines of which level were written when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from engine.api import logs
from engine.api.spans import buckets_between
from engine.ids import id_at, new_id
from engine.models import LogLine, Run, Task
from engine.states import LogLevel
from tenants.rest.errors import ApiError
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, now, start_run, tasks_of
from tests.api.load import failures_of
from tests.cast import Cast

LEVELS = {level.name: 0 for level in LogLevel}


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/stable/tenants/{cast.tenant.id}/log-point-metrics"


def say(run: Run, message: str, level: LogLevel, at: datetime | None = None) -> None:
    LogLine.objects.create(
        id=new_id() if at is None else id_at(at),
        run_id=run.id,
        task_id=run.id,
        step_id=tasks_of(run)[0].step_id,
        tenant_id=run.tenant_id,
        retry_count=0,
        level=level,
        message=message,
        created_at=at or now(),
    )


def totals(api: ApiClient, path: str, **query: Any) -> dict[str, int]:
    answer = api.get(path, query)
    assert answer.status == 200, answer.content
    points = answer.json["results"]
    return {level: sum(point[level] for point in points) for level in LEVELS}


@pytest.fixture
def runs(cast: Cast) -> tuple[Run, Run]:
    make_workflow(cast.tenant)
    make_workflow(cast.tenant, "other")
    greet, other = start_run(cast.tenant), start_run(cast.tenant, "other")
    say(greet, "careful", LogLevel.WARN)
    say(greet, "Careful again", LogLevel.ERROR)
    say(other, "fine", LogLevel.INFO)
    return greet, other


def test_lines_are_counted_by_level(api: ApiClient, path: str, runs: tuple[Run, Run]) -> None:
    assert totals(api, path) == LEVELS | {"INFO": 1, "WARN": 1, "ERROR": 1}
    points = api.get(path).json
    assert 49 <= len(points["results"]) <= 50
    assert failures_of([("points", "V1LogsPointMetrics", points)]) == {}


def test_the_filters_of_the_list_narrow_the_count(
    api: ApiClient, path: str, runs: tuple[Run, Run]
) -> None:
    greet, other = runs
    of_greet = LEVELS | {"WARN": 1, "ERROR": 1}
    assert totals(api, path, search="CAREFUL") == of_greet
    assert totals(api, path, levels="INFO") == LEVELS | {"INFO": 1}
    assert totals(api, path, taskExternalIds=str(greet.id)) == of_greet
    assert totals(api, path, workflow_ids=str(greet.workflow_id)) == of_greet
    (task,) = tasks_of(other)
    assert totals(api, path, step_ids=str(task.step_id)) == LEVELS | {"INFO": 1}


def test_a_line_is_in_the_bucket_of_its_time(api: ApiClient, path: str, cast: Cast) -> None:
    make_workflow(cast.tenant)
    run = start_run(cast.tenant)
    start = now().replace(second=0, microsecond=0) - timedelta(minutes=30)
    for seconds in (187, 188, 1207):
        say(run, "x", LogLevel.DEBUG, start + timedelta(seconds=seconds))
    until = start + timedelta(minutes=25)
    query = {"since": start.isoformat(), "until": until.isoformat()}
    points = api.get(path, query).json["results"]
    assert [index for index, point in enumerate(points) if point["DEBUG"]] == [3, 20]
    assert points[3]["DEBUG"] == 2
    assert totals(api, path, since=(start + timedelta(minutes=10)).isoformat())["DEBUG"] == 1


def test_another_tenants_lines_are_not_counted(api: ApiClient, path: str, cast: Cast) -> None:
    make_workflow(cast.other_tenant)
    theirs = start_run(cast.other_tenant)
    say(theirs, "secret", LogLevel.INFO)
    assert totals(api, path) == LEVELS
    assert totals(api, path, taskExternalIds=str(theirs.id)) == LEVELS
    (task,) = Task.objects.filter(run_id=theirs.id)
    assert totals(api, path, step_ids=str(task.step_id)) == LEVELS


@pytest.mark.parametrize(
    "query",
    [
        {"since": "1970-01-01T00:00:00Z"},
        {"since": "2020-01-02T00:00:00Z", "until": "2020-01-01T00:00:00Z"},
        {"levels": "LOUD"},
        {"step_ids": "x"},
        {"search": "\0"},
        {"search": "%_" * 5_000},
    ],
)
def test_a_wrong_question_is_refused(api: ApiClient, path: str, query: dict[str, str]) -> None:
    answer = api.get(path, query)
    assert answer.status == 400
    assert answer.error


def test_buckets_end_where_time_does() -> None:
    last = datetime.fromisoformat("9999-12-31T23:59:59.999999+00:00")
    buckets = buckets_between(last - timedelta(hours=1), last, names=("a", "b"))
    assert len(list(buckets.times())) == 61
    with pytest.raises(ApiError):
        buckets_between(last, last - timedelta(hours=1), names=("a", "b"))


def test_what_was_not_looked_at_is_left_out_and_told(
    api: ApiClient, cast: Cast, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MOST_LOOKED_AT", 2)
    make_workflow(cast.tenant)
    run = start_run(cast.tenant)
    start = now().replace(second=0, microsecond=0) - timedelta(minutes=30)
    for minute in (5, 10, 15, 20):
        say(run, "Some words", LogLevel.INFO, start + timedelta(minutes=minute))
    asked = {"since": start.isoformat(), "search": "words"}
    counted = api.get(path, asked)
    assert datetime.fromisoformat(counted.headers["X-Searched-To"]) == start + timedelta(minutes=15)
    points = counted.json["results"]
    assert datetime.fromisoformat(points[0]["time"]) == start + timedelta(minutes=16)
    assert sum(point["INFO"] for point in points) == 1

    rows = path.replace("log-point-metrics", "logs")
    first = api.get(rows, asked | {"search": "nowhere"})
    assert first.json["rows"] == []
    onwards = datetime.fromisoformat(first.headers["X-Searched-To"])
    assert start + timedelta(minutes=9) < onwards < start + timedelta(minutes=10)
    second = api.get(rows, asked | {"since": onwards.isoformat()})
    assert len(second.json["rows"]) == 2
    newest = api.get(rows, asked | {"order_by_direction": "DESC", "limit": 2})
    assert len(newest.json["rows"]) == 2
    assert "X-Searched-To" not in newest.headers
    whole = api.get(rows, asked | {"until": (start + timedelta(minutes=6)).isoformat()})
    assert len(whole.json["rows"]) == 1
    assert "X-Searched-To" not in whole.headers
