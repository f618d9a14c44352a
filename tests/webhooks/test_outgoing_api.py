"""Endpoints over REST: made, changed, tried, and their messages read on from a cursor."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.db import transaction
from pytest_django import Settings

from engine.config import Config
from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.models import Workflow
from engine.operations.put_workflow import put_workflow
from engine.operations.trigger_runs import trigger_runs
from engine.store import sync_db
from engine.types import TriggerRequest
from tenants.models import Member, Tenant
from tests.api.client import ApiClient
from tests.cast import Cast
from webhooks.encryption import decrypt
from webhooks.models import Dispatch, DispatchState, Endpoint, Message, Occurrence
from webhooks.outgoing import changes
from webhooks.outgoing.asyncapi import DOCUMENT, described, written
from webhooks.outgoing.gather import gather
from webhooks.outgoing.kinds import KINDS

GOOD: dict[str, Any] = {"url": "https://example.com/hook", "kinds": ["run.completed"]}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def base(tenant: Tenant) -> str:
    return f"/api/v1/stable/tenants/{tenant.id}/webhook-endpoints"


def made(api: ApiClient, tenant: Tenant, **overrides: Any) -> str:
    """Make an endpoint; return its path."""
    answer = api.post(base(tenant), GOOD | overrides)
    assert answer.status == 200, answer.content
    return f"{base(tenant)}/{answer.json['metadata']['id']}"


def start_runs(tenant: Tenant, count: int, now: datetime | None = None) -> list[UUID]:
    at = now or datetime.now(UTC)
    definition = WorkflowDefinition("work", (StepDefinition("run", "work:run"),))
    sync_db.run(put_workflow(tenant.id, definition, at))
    return list(sync_db.run(trigger_runs(tenant.id, [TriggerRequest("work")] * count, at)))


def gather_all() -> None:
    while sync_db.run(gather(100, datetime.now(UTC))):
        pass


def test_an_endpoint_shows_its_secret_when_it_is_made_and_never_again(
    cast: Cast, api: ApiClient
) -> None:
    answer = api.post(base(cast.tenant), GOOD | {"description": "ours"}).json
    secret = answer.pop("secret")
    assert secret.startswith("whsec_")
    endpoint = Endpoint.objects.get()
    assert decrypt(bytes(endpoint.secret)) == secret
    assert secret.encode() not in bytes(endpoint.secret)
    assert answer | {"metadata": None} == {
        "metadata": None,
        "tenantId": str(cast.tenant.id),
        "url": "https://example.com/hook",
        "description": "ours",
        "kinds": ["run.completed"],
        "workflowIds": [],
        "isPaused": False,
    }
    path = f"{base(cast.tenant)}/{endpoint.id}"
    assert api.get(path).json == answer
    assert api.get(base(cast.tenant)).json["rows"] == [answer]
    given = api.post(base(cast.tenant), GOOD | {"secret": SECRET}).json
    assert given["secret"] == SECRET


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": None},
        {"url": ""},
        {"url": 1},
        {"url": ["https://example.com"]},
        {"url": "ftp://example.com"},
        {"url": "https://user:word@example.com"},
        {"url": "http://127.0.0.1:8080/"},
        {"url": "http://[::ffff:10.0.0.1]/"},
        {"url": "http://169.254.169.254/"},
        {"url": "https://example.com/\0"},
        {"url": "https://example.com/" + "x" * 5_000_000},
        {"kinds": None},
        {"kinds": []},
        {"kinds": "run.completed"},
        {"kinds": ["run.exploded"]},
        {"kinds": [1]},
        {"kinds": [["run.completed"]]},
        {"kinds": ["endpoint.test"]},
        {"description": "x" * 501},
        {"description": "a\0b"},
        {"description": 1},
        {"workflowIds": ["x"]},
        {"workflowIds": [1]},
        {"workflowIds": [str(uuid4())]},
        {"workflowIds": [str(uuid4())] * 10_000},
        {"workflowIds": {}},
        {"secret": "whsec_"},
        {"secret": "whsec_c2hvcnQ="},
        {"secret": "x" * 40},
        {"secret": 1},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_wrong_is_refused_before_anything_is_stored(
    cast: Cast, api: ApiClient, wrong: dict[str, Any]
) -> None:
    answer = api.post(base(cast.tenant), GOOD | wrong)
    assert answer.status in {400, 413}
    assert answer.error
    assert not Endpoint.objects.exists()


def test_a_change_that_is_wrong_changes_nothing(cast: Cast, api: ApiClient) -> None:
    path = made(api, cast.tenant)
    before = api.get(path).json
    wrongs: list[dict[str, Any]] = [
        {"url": "ftp://x"},
        {"kinds": []},
        {"workflowIds": [str(uuid4())]},
    ]
    for wrong in wrongs:
        wrong_too = {"description": "new"} | wrong
        assert api.patch(path, wrong_too).status == 400
    assert api.get(path).json == before
    changed = api.patch(path, {"kinds": ["worker.lost", "run.failed"], "description": ""}).json
    assert (changed["kinds"], changed["url"]) == (["run.failed", "worker.lost"], before["url"])


def test_a_tenant_has_a_bounded_number(
    cast: Cast, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_ENDPOINTS", 1)
    made(api, cast.tenant)
    assert api.post(base(cast.tenant), GOOD).status == 400


def test_private_networks_are_allowed_by_the_operator_alone(
    cast: Cast, api: ApiClient, installation: Config, settings: Settings, tmp_path: Path
) -> None:
    variables = {
        "HATCHET_DATA_DIR": str(tmp_path),
        "SERVER_WEBHOOKS_ALLOWED_PRIVATE_NETWORKS": "10.0.0.0/8",
    }
    settings.HATCHET = Config.from_environment(variables, tmp_path)
    allowed = settings.HATCHET.webhooks_allowed_networks
    settings.HATCHET = replace(installation, webhooks_allowed_networks=allowed)
    made(api, cast.tenant, url="http://10.0.0.7:9000/hook")
    assert api.post(base(cast.tenant), GOOD | {"url": "http://127.0.0.1/"}).status == 400


def test_what_happened_is_read_on_from_a_cursor(cast: Cast, api: ApiClient) -> None:
    path = made(api, cast.tenant, kinds=["run.created"])
    runs = start_runs(cast.tenant, 5)
    assert api.get(f"{path}/messages").json == {"rows": [], "nextCursor": "0", "hasMore": False}
    gather_all()
    found: list[str] = []
    cursor, has_more = "0", True
    while has_more:
        answer = api.get(f"{path}/messages", {"after": cursor, "limit": 2}).json
        found += [row["subjectId"] for row in answer["rows"]]
        cursor, has_more = answer["nextCursor"], answer["hasMore"]
    assert found == sorted(str(run) for run in runs)
    assert api.get(f"{path}/messages", {"after": cursor}).json["nextCursor"] == cursor
    [later] = start_runs(cast.tenant, 1)
    gather_all()
    [row] = api.get(f"{path}/messages", {"after": cursor}).json["rows"]
    assert (row["subjectId"], row["state"], row["attempts"]) == (str(later), "PENDING", 0)
    whole = api.get(f"{path}/messages/{row['messageId']}").json
    assert json.loads(whole["body"])["data"]["workflowRunId"] == str(later)
    assert whole["webhookId"] == f"msg_{UUID(row['messageId']).hex}"
    assert api.get(f"{path}/messages", {"states": "FAILED"}).json["rows"] == []


@pytest.mark.parametrize(
    "query", [{"after": "-1"}, {"after": "x"}, {"after": str(2**63)}, {"limit": 0}, {"limit": 201}]
)
def test_a_wrong_cursor_is_refused(cast: Cast, api: ApiClient, query: dict[str, Any]) -> None:
    assert api.get(f"{made(api, cast.tenant)}/messages", query).status == 400


def test_what_is_rolled_back_was_never_noted(cast: Cast, api: ApiClient) -> None:
    made(api, cast.tenant, kinds=["run.created"])
    with transaction.atomic():
        start_runs(cast.tenant, 1)
        assert Occurrence.objects.count() == 1
        transaction.set_rollback(True)
    assert not Occurrence.objects.exists()


def test_workflows_narrow_what_is_noted(cast: Cast, api: ApiClient) -> None:
    start_runs(cast.tenant, 1)
    workflow = Workflow.objects.get(tenant=cast.tenant)
    made(api, cast.tenant, kinds=["run.created"], workflowIds=[str(workflow.id)])
    [run] = start_runs(cast.tenant, 1)
    other = WorkflowDefinition("other", (StepDefinition("run", "other:run"),))
    sync_db.run(put_workflow(cast.tenant.id, other, datetime.now(UTC)))
    sync_db.run(trigger_runs(cast.tenant.id, [TriggerRequest("other")], datetime.now(UTC)))
    start_runs(cast.other_tenant, 1)
    assert [row.subject_id for row in Occurrence.objects.all()] == [run]


def test_numbers_and_long_metadata_are_told_as_they_are_or_not_at_all(
    cast: Cast, api: ApiClient
) -> None:
    made(api, cast.tenant, kinds=["run.created"])
    start_runs(cast.tenant, 1)
    number = b'{"n": 12345678901234567890123}'
    for metadata in (number, b'{"n": "' + b"x" * 10_000 + b'"}'):
        request = TriggerRequest("work", additional_metadata=metadata)
        sync_db.run(trigger_runs(cast.tenant.id, [request], datetime.now(UTC)))
    gather_all()
    _, exact, long = (bytes(one.body) for one in Message.objects.order_by("position"))
    assert b"12345678901234567890123" in exact
    assert b"additionalMetadata" not in long


def test_a_test_message_goes_to_one_endpoint(cast: Cast, api: ApiClient) -> None:
    path, _ = made(api, cast.tenant), made(api, cast.tenant)
    sent = api.post(f"{path}/test").json
    assert (sent["kind"], sent["state"]) == ("endpoint.test", "PENDING")
    assert Dispatch.objects.count() == 1
    assert json.loads(sent["body"])["data"]["tenantId"] == str(cast.tenant.id)


def test_what_was_given_up_is_sent_again(cast: Cast, api: ApiClient) -> None:
    path = made(api, cast.tenant, kinds=["run.created"])
    start_runs(cast.tenant, 3)
    gather_all()
    rows = api.get(f"{path}/messages").json["rows"]
    Dispatch.objects.update(state=DispatchState.FAILED, tries=10)
    one = f"{path}/messages/{rows[0]['messageId']}"
    again = api.post(f"{one}/redeliver").json
    assert (again["state"], again["messageId"]) == ("PENDING", rows[0]["messageId"])
    assert api.post(f"{path}/redeliver-failed", {"after": int(rows[1]["cursor"])}).json == {
        "count": 1
    }
    assert api.post(f"{path}/redeliver-failed", {}).json == {"count": 1}
    assert api.post(f"{path}/redeliver-failed", {"after": -1}).status == 400
    assert set(Dispatch.objects.values_list("state", "tries")) == {("PENDING", 0)}


def test_a_secret_is_rotated_with_an_overlap(cast: Cast, api: ApiClient) -> None:
    path = made(api, cast.tenant, secret=SECRET)
    before = datetime.now(UTC)
    answer = api.post(f"{path}/rotate-secret", {"overlapSeconds": 60}).json
    endpoint = Endpoint.objects.get()
    assert decrypt(bytes(endpoint.secret)) == answer["secret"] != SECRET
    assert decrypt(bytes(endpoint.previous_secret or b"")) == SECRET
    assert endpoint.previous_expires_at is not None
    assert timedelta(0) <= endpoint.previous_expires_at - before - timedelta(seconds=60)
    for wrong in ({"secret": "x"}, {"overlapSeconds": -1}, {"overlapSeconds": 10**9}):
        assert api.post(f"{path}/rotate-secret", wrong).status == 400
    assert decrypt(bytes(Endpoint.objects.get().secret)) == answer["secret"]


def test_secrets_of_endpoints_are_encrypted_anew_with_the_others(
    cast: Cast, api: ApiClient, installation: Config, settings: Settings
) -> None:
    path = made(api, cast.tenant, secret=SECRET)
    api.post(f"{path}/rotate-secret", {})
    keys = ("another random secret", *installation.encryption_keys)
    settings.HATCHET = replace(installation, encryption_keys=keys)
    call_command("encryptsecrets")
    settings.HATCHET = replace(installation, encryption_keys=keys[:1])
    assert decrypt(bytes(Endpoint.objects.get().previous_secret or b"")) == SECRET
    assert decrypt(bytes(Endpoint.objects.get().secret)).startswith("whsec_")


def test_strangers_and_the_wrong_roles_are_refused(cast: Cast, api: ApiClient) -> None:
    path = made(api, cast.tenant)
    message = f"{path}/messages/{api.post(f'{path}/test').json['messageId']}"
    reads = (base(cast.tenant), path, f"{path}/messages", message)
    by_member = ApiClient(user=cast.member)
    assert {by_member.get(each).status for each in reads} == {200}
    assert by_member.post(f"{path}/test").status == 200
    assert by_member.post(f"{message}/redeliver").status == 200
    assert by_member.post(base(cast.tenant), GOOD).status == 401
    assert by_member.patch(path, {"isPaused": True}).status == 401
    assert by_member.post(f"{path}/rotate-secret", {}).status == 401
    assert by_member.delete(path).status == 401
    viewers = Member.objects.filter(tenant=cast.tenant, user=cast.viewer)
    viewers.update(can_view_payloads=False)
    by_viewer = ApiClient(user=cast.viewer)
    assert by_viewer.post(f"{path}/test").status == 401
    shown = by_viewer.get(message).json
    assert shown["payloadsRestricted"] is True
    assert "body" not in shown
    for client in (ApiClient(), ApiClient(user=cast.stranger)):
        assert {client.get(each).status for each in reads} <= {401, 403}
        assert client.delete(path).status in {401, 403}
    foreign = path.replace(str(cast.tenant.id), str(cast.other_tenant.id))
    assert ApiClient(user=cast.stranger).get(foreign).status in {401, 403, 404}
    assert Endpoint.objects.count() == 1


def test_pausing_and_deleting(cast: Cast, api: ApiClient) -> None:
    path = made(api, cast.tenant)
    api.post(f"{path}/test")
    paused = api.patch(path, {"isPaused": True}).json
    assert (paused["isPaused"], paused["pauseReason"]) == (True, "PERSON")
    assert "pauseReason" not in api.patch(path, {"isPaused": False}).json
    assert api.delete(path).status == 200
    assert (api.get(path).status, Dispatch.objects.count()) == (404, 0)
    assert api.get(f"{path}/messages").status == 404


def test_the_messages_are_described_for_machines(db: None) -> None:
    """To accept: manage.py asyncapi."""
    assert DOCUMENT.read_text() == written()
    answer = ApiClient().http.get("/api/v1/asyncapi.yaml")
    assert answer.content == DOCUMENT.read_bytes()
    named = {one["name"] for one in described()["components"]["messages"].values()}
    assert named == {*KINDS, "endpoint.test"}
