"""Whatever comes in, the answer is a clear 4xx in the contract's shape, never a crash."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from engine.models import Run
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, start_run
from tests.cast import Cast


@pytest.fixture
def trigger_path(cast: Cast) -> str:
    make_workflow(cast.tenant)
    return f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-runs/trigger"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not json", id="no JSON"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"text"', id="a text"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b'{"workflowName":"greet","input":[]}', id="input is a list"),
        pytest.param(b'{"workflowName":"greet","input":"x"}', id="input is a text"),
        pytest.param(b'{"workflowName":"greet","input":{"a":NaN}}', id="NaN"),
        pytest.param(b'{"workflowName":"greet","input":{"a":1e999}}', id="infinite"),
        pytest.param(rb'{"workflowName":"greet","input":{"a":"\u0000"}}', id="NUL in a value"),
        pytest.param(rb'{"workflowName":"greet","input":{"\u0000":1}}', id="NUL in a key"),
        pytest.param(b'{"workflowName":"greet","input":{"a":"\x00"}}', id="raw NUL"),
        pytest.param(rb'{"workflowName":"greet","input":{"a":"\ud800"}}', id="half surrogate"),
        pytest.param(b'{"workflowName":"greet","input":' + b'{"a":' * 200_000, id="endless depth"),
        pytest.param(b'{"workflowName":"greet","input":{"a":' + b"9" * 5000 + b"}}", id="digits"),
        pytest.param(b'{"workflowName":7,"input":{}}', id="name is a number"),
        pytest.param(b'{"workflowName":"","input":{}}', id="name is empty"),
        pytest.param(b'{"workflowName":"nobody","input":{}}', id="unknown workflow"),
        pytest.param(b'{"workflowName":"greet","input":{},"priority":4}', id="priority 4"),
        pytest.param(b'{"workflowName":"greet","input":{},"priority":0}', id="priority 0"),
        pytest.param(b'{"workflowName":"greet","input":{},"priority":"1"}', id="priority is text"),
        pytest.param(b'{"workflowName":"greet","input":{},"priority":true}', id="priority is true"),
        pytest.param(
            b'{"workflowName":"greet","input":{},"additionalMetadata":[1]}', id="metadata list"
        ),
    ],
)
def test_a_wrong_trigger_is_refused_and_starts_nothing(
    api: ApiClient, trigger_path: str, body: bytes
) -> None:
    answer = api.send("POST", trigger_path, body)
    assert answer.status == 400, answer.content[:200]
    assert answer.error
    assert answer.json["message"] == answer.error
    assert Run.objects.count() == 0


def test_an_input_over_the_limit_is_refused_and_one_below_it_is_not(
    api: ApiClient, trigger_path: str
) -> None:
    for size, status in ((5 * 1024 * 1024, 413), (3 * 1024 * 1024, 200)):
        body = {"workflowName": "greet", "input": {"text": "x" * size}}
        answer = api.post(trigger_path, body)
        assert answer.status == status
    assert Run.objects.count() == 1


def test_a_body_longer_than_it_claims_is_refused(api: ApiClient, trigger_path: str) -> None:
    body = json.dumps({"workflowName": "greet", "input": {"text": "x" * 5 * 1024 * 1024}})
    answer = api.send("POST", trigger_path, body.encode(), CONTENT_LENGTH="10")
    assert answer.status == 400


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_media_type_is_415(api: ApiClient, trigger_path: str, media_type: str) -> None:
    answer = api.send("POST", trigger_path, b'{"workflowName":"greet","input":{}}', media_type)
    assert answer.status == 415
    assert answer.error


def test_input_keeps_every_digit_and_character(
    api: ApiClient, cast: Cast, trigger_path: str
) -> None:
    text = '{"n":123456789012345678901234567890,"f":1.10,"u":"žluť 🐎","deep":{"a":[null,true]}}'
    body = f'{{"workflowName":"greet","input":{text}}}'.encode()
    run_id = api.send("POST", trigger_path, body).json["run"]["metadata"]["id"]
    shown = api.get(f"/api/v1/stable/workflow-runs/{run_id}").json["run"]["input"]
    assert shown == json.loads(text)


@pytest.mark.parametrize("given", ["", ', "input": null', ', "input": {}'])
def test_no_input_is_an_empty_one(
    api: ApiClient, cast: Cast, trigger_path: str, given: str
) -> None:
    body = f'{{"workflowName": "greet"{given}}}'.encode()
    answer = api.send("POST", trigger_path, body)
    assert (answer.status, answer.json["run"]["input"]) == (200, {})


BAD_IDS = ["x", "1", "%00", "a" * 5000, "é", "00000000-0000-0000-0000-00000000000g", "{}"]


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/tenants/{}",
        "/api/v1/stable/tenants/{}/workflow-runs",
        "/api/v1/stable/workflow-runs/{}",
        "/api/v1/stable/workflow-runs/{}/status",
        "/api/v1/stable/tasks/{}",
        "/api/v1/stable/tasks/{}/logs",
        "/api/v1/workflows/{}",
        "/api/v1/workers/{}",
        "/api/v1/events/{}",
    ],
)
def test_a_malformed_id_in_the_path_is_400(api: ApiClient, path: str, bad: str) -> None:
    answer = api.get(path.format(bad))
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/stable/workflow-runs/{}",
        "/api/v1/stable/tasks/{}",
        "/api/v1/workflows/{}",
        "/api/v1/workers/{}",
        "/api/v1/events/{}",
    ],
)
def test_an_unknown_id_is_404(api: ApiClient, path: str) -> None:
    answer = api.get(path.format(uuid4()))
    assert (answer.status, bool(answer.error)) == (404, True)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"only_tasks": "false"},
        {"since": "2025-01-01T00:00:00Z"},
        {"since": "yesterday", "only_tasks": "false"},
        {"since": "2025-13-01T00:00:00Z", "only_tasks": "false"},
        {"since": "2025-01-01T00:00:00Z", "only_tasks": "yes"},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "x"},
        {"limit": "1.5"},
        {"limit": "٣"},
        {"limit": "9" * 30},
        {"offset": "-1"},
        {"statuses": "DONE"},
        {"statuses": "QUEUED,RUNNING"},
        {"workflow_ids": "x"},
        {"additional_metadata": "no colon"},
        {"additional_metadata": "a:\x00"},
        {"additional_metadata_operator": "XOR"},
        {"running_filter": "SOME"},
        {"worker_id": str(uuid4())},
        {"parent_task_external_id": "1"},
        {"include_payloads": "1"},
    ],
)
def test_a_wrong_query_is_400(api: ApiClient, cast: Cast, query: dict[str, str]) -> None:
    is_complete = not query.keys() & {"since", "only_tasks"} and query
    asked = (
        {"since": "2025-01-01T00:00:00Z", "only_tasks": "false"} if is_complete else {}
    ) | query
    answer = api.get(f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-runs", asked)
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize(
    "moment",
    [
        "2020-01-02T03:04:05.123456Z",
        "2020-01-02T03:04:05Z",
        "2020-01-02T03:04:05+02:00",
        "2020-01-02T03:04:05 02:00",
        "2020-01-02T03:04:05.123456",
        "2020-01-02",
        "0001-01-01T00:00:00Z",
    ],
)
def test_times_are_read_in_every_form_clients_send(api: ApiClient, cast: Cast, moment: str) -> None:
    make_workflow(cast.tenant)
    start_run(cast.tenant)
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-runs"
    answer = api.get(path, {"since": moment, "only_tasks": "false"})
    assert (answer.status, len(answer.json["rows"])) == (200, 1)


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v2/tenants"])
def test_an_unknown_path_is_404_in_the_contracts_shape(path: str) -> None:
    answer = ApiClient().get(path)
    assert (answer.status, bool(answer.error)) == (404, True)


def test_a_trailing_slash_is_no_redirect(api: ApiClient, cast: Cast) -> None:
    assert api.get(f"/api/v1/tenants/{cast.tenant.id}/").status == 404


def test_an_unknown_method_is_405(api: ApiClient, cast: Cast) -> None:
    answer = api.send("PUT", f"/api/v1/tenants/{cast.tenant.id}", b"{}")
    assert (answer.status, bool(answer.error)) == (405, True)


def test_an_unexpected_failure_is_500_and_tells_nothing(
    api: ApiClient, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenants.api.tenants.tenant_shape", lambda tenant: 1 / 0)
    answer = api.get(f"/api/v1/tenants/{cast.tenant.id}")
    assert answer.status == 500
    assert "division" not in answer.error


@pytest.mark.parametrize(
    "place",
    ["tenants.rest.render.JsonRenderer.render", "django.contrib.auth.middleware.get_user"],
)
def test_a_failure_outside_the_view_has_the_contracts_shape(
    api: ApiClient,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: str,
) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise RuntimeError("a secret")

    monkeypatch.setattr(place, fail)
    answer = ApiClient(user=cast.owner).get(f"/api/v1/tenants/{cast.tenant.id}")
    assert (answer.status, answer.headers["Content-Type"]) == (500, "application/json")
    assert answer.json["errors"][0]["code"] == 500
    assert answer.json["message"] == answer.error
    assert b"secret" not in answer.content
    assert "a secret" in caplog.text
