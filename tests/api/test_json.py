"""What JSON is accepted comes back unchanged wherever it is listed; what is refused leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.models import Cron, Event, Filter, LogLine, Run, Schedule
from engine.operations.push_events import push_events
from engine.store import sync_db
from engine.types import EventInput
from tenants.json_text import JsonRefused, read_metadata, read_object
from tests.api.client import Answer, ApiClient
from tests.api.factories import complete, make_workflow, now, start_run, tasks_of
from tests.cast import Cast
from tests.json_documents import exact, objects

LATER = '"2099-05-01T00:00:00Z"'
BIG = '{"n": 18446744073709551617, "d": 0.10000000000000000001, "e": 1e-300, "t": "x"}'
UNFIT_FOR_COLUMNS = ['{"a": 1e-200000}', '{"a": 0.' + "1" * 1_000 + "}"]
"""Inputs may hold such numbers, metadata not: it is searched."""
BAD = [
    '{"a": 1e400}',
    '{"a": ' + "9" * 309 + "}",
    '{"a": ' * 251 + "1" + "}" * 251,
    '{"a": ' * 900 + "1" + "}" * 900,
    r'{"a": "\u0000"}',
    r'{"a": "\ud83d"}',
    "[1]",
    "7",
]


@pytest.fixture
def base(cast: Cast) -> str:
    make_workflow(cast.tenant, event_triggers=("go",))
    return str(cast.tenant.id)


class Entrance:
    """A way in for a document, and the ways on which it must come out."""

    def __init__(self, api: ApiClient, tenant: str, name: str) -> None:
        self._api = api
        v1, stable = f"/api/v1/tenants/{tenant}", f"/api/v1/stable/tenants/{tenant}"
        runs = f"{stable}/workflow-runs"
        since = f"?since={quote((now() - timedelta(hours=1)).isoformat())}"
        ways: dict[str, tuple[str, Any, list[str]]] = {
            "run": (
                f"{runs}/trigger",
                Run,
                [
                    f"{runs}{since}&only_tasks=false",
                    f"{runs}{since}&only_tasks=true",
                    "/api/v1/stable/workflow-runs/{id}",
                    "/api/v1/stable/tasks/{id}",
                ],
            ),
            "cron": (
                f"{v1}/workflows/greet/crons",
                Cron,
                [
                    f"{v1}/workflows/crons",
                    f"{v1}/workflows/crons/{{id}}",
                ],
            ),
            "schedule": (
                f"{v1}/workflows/greet/scheduled",
                Schedule,
                [
                    f"{v1}/workflows/scheduled",
                    f"{v1}/workflows/scheduled/{{id}}",
                ],
            ),
        }
        self.way_in, self.model, self.ways_out = ways[name]

    def send(self, given: str, metadata: str) -> Answer:
        body = (
            f'{{"workflowName": "greet", "input": {given}, "additionalMetadata":{metadata} ,'
            f'"cronName": "c", "cronExpression": "0 0 1 1 *", "triggerAt": {LATER}}}'
        )
        return self._api.send("POST", self.way_in, body.encode(errors="surrogatepass"))

    def found(self) -> Iterator[Any]:
        """Every appearance of the only row there is."""
        row_id = self.model.objects.get().pk
        for path in self.ways_out:
            answer = self._api.get(path.format(id=row_id))
            assert answer.status == 200, answer.content[:200]
            body = exact(answer.content)
            (row,) = body["rows"] if "rows" in body else [body.get("run", body)]
            yield row


@pytest.fixture(params=["run", "cron", "schedule"])
def entrance(api: ApiClient, base: str, request: pytest.FixtureRequest) -> Entrance:
    return Entrance(api, base, request.param)


def test_accepted_documents_come_back_equal_and_refused_ones_leave_no_row(
    entrance: Entrance,
) -> None:
    @given(given=objects, metadata=objects | st.sampled_from(BAD + UNFIT_FOR_COLUMNS))
    @settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    def check(given: str, metadata: str) -> None:
        with transaction.atomic():
            answer = entrance.send(given, metadata)
            assert answer.status == (200 if is_metadata(metadata) else 400), answer.content[:200]
            assert entrance.model.objects.count() == (answer.status == 200)
            if answer.status == 200:
                for row in entrance.found():
                    assert (row["input"], row["additionalMetadata"]) == (
                        exact(given),
                        exact(metadata),
                    )
            transaction.set_rollback(True)

    check()


def is_metadata(text: str) -> bool:
    try:
        read_metadata(text)
    except JsonRefused:
        return False
    return True


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_input_is_refused_before_anything_is_stored(entrance: Entrance, bad: str) -> None:
    answer = entrance.send(bad, "{}")
    assert (answer.status, answer.json["message"]) == (400, answer.error)
    assert not entrance.model.objects.exists()


@pytest.mark.parametrize("bad", BAD + UNFIT_FOR_COLUMNS)
def test_bad_metadata_is_refused_before_anything_is_stored(entrance: Entrance, bad: str) -> None:
    answer = entrance.send("{}", bad)
    assert (answer.status, answer.json["message"]) == (400, answer.error)
    assert not entrance.model.objects.exists()


@pytest.mark.parametrize("odd", [*UNFIT_FOR_COLUMNS, BIG, '{"a": ' * 250 + "1" + "}" * 250])
def test_an_odd_input_comes_back_as_it_was_written(entrance: Entrance, odd: str) -> None:
    assert entrance.send(odd, BIG).status == 200
    for row in entrance.found():
        assert (row["input"], row["additionalMetadata"]) == (exact(odd), exact(BIG))


def test_filters_match_the_number_as_it_was_written(api: ApiClient, cast: Cast, base: str) -> None:
    Entrance(api, base, "run").send("{}", BIG)
    path = f"/api/v1/stable/tenants/{base}/workflow-runs"
    asked = {"since": (now() - timedelta(hours=1)).isoformat(), "only_tasks": "false"}
    for pair, count in (
        ("n:18446744073709551617", 1),
        ("n:18446744073709551616", 0),
        ("d:0.10000000000000000001", 1),
    ):
        rows = api.get(path, asked | {"additional_metadata": pair}).json["rows"]
        assert len(rows) == count, pair


def push(cast: Cast, payload: str, metadata: str) -> Event:
    event = EventInput("go", read_object(payload), read_metadata(metadata))
    operation = push_events(cast.tenant.id, [event], now())
    return Event.objects.get(id=sync_db.run(operation)[0].event_id)


def test_events_and_their_runs_keep_every_digit(api: ApiClient, cast: Cast, base: str) -> None:
    event = push(cast, BIG, BIG)
    pages = f"/api/v1/stable/tenants/{base}/events"
    listed = exact(api.get(pages).content)["rows"]
    alone = exact(api.get(f"{pages}/{event.id}").content)
    old = exact(api.get(f"/api/v1/events/{event.id}").content)
    for row in (*listed, alone):
        assert row["additionalMetadata"] == row["payload"] == exact(BIG)
    assert old["additionalMetadata"] == exact(BIG)
    run = exact(api.get(f"/api/v1/stable/workflow-runs/{Run.objects.get().id}").content)["run"]
    assert run["input"] == exact(BIG)
    marks = {"hatchet__event_id": str(event.id), "hatchet__event_key": "go"}
    assert run["additionalMetadata"] == exact(BIG) | marks


def test_outputs_that_are_no_objects_keep_every_digit(
    api: ApiClient, cast: Cast, base: str
) -> None:
    run = start_run(cast.tenant)
    (task,) = tasks_of(run)
    complete(task, 2**64 - 1)
    run_path = f"/api/v1/stable/workflow-runs/{run.id}"
    assert api.get(run_path).json["run"]["output"] == {"value": 2**64 - 1}


def test_logs_keep_every_digit_of_their_metadata(api: ApiClient, cast: Cast, base: str) -> None:
    run = start_run(cast.tenant)
    LogLine.objects.create(
        run_id=run.id,
        task_id=run.id,
        tenant_id=cast.tenant.id,
        retry_count=0,
        level=1,
        message="m",
        metadata={"n": 2**64 + 1},
        created_at=now(),
    )
    (line,) = api.get(f"/api/v1/stable/tasks/{run.id}/logs").json["rows"]
    assert line["metadata"] == {"n": 2**64 + 1}


def test_a_schema_keeps_every_digit(api: ApiClient, cast: Cast) -> None:
    made = make_workflow(cast.tenant, input_json_schema='{"maximum": 18446744073709551617}')
    version = api.get(f"/api/v1/workflows/{made.workflow_id}/versions")
    assert version.json["inputJsonSchema"] == {"maximum": 2**64 + 1}


def test_rows_from_before_the_rule_are_listed(api: ApiClient, cast: Cast, base: str) -> None:
    deep = '{"a": ' * 2_000 + "1" + "}" * 2_000
    row = start_run(cast.tenant)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE engine_run SET additional_metadata = %s::jsonb WHERE id = %s", [deep, row.id]
        )
    answer = api.get(f"/api/v1/stable/workflow-runs/{row.id}")
    assert (answer.status, answer.content.count(b'{"a": ')) == (200, 2_000 * 2)


def test_filters_that_differ_in_a_digit_are_two(api: ApiClient, cast: Cast, base: str) -> None:
    workflow_id = str(make_workflow(cast.tenant, "other").workflow_id)
    path = f"/api/v1/stable/tenants/{base}/filters"
    for number, status in (("18446744073709551616", 200), ("18446744073709551617", 200)):
        body = (
            f'{{"workflowId": "{workflow_id}", "scope": "s", "expression": "true",'
            f' "payload": {{"n": {number}}}}}'
        )
        answer = api.send("POST", path, body.encode())
        assert (answer.status, exact(answer.content)["payload"]) == (status, {"n": Decimal(number)})
    assert Filter.objects.count() == 2
