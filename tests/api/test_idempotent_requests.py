"""A POST with an `Idempotency-Key` is done once, however often it is sent."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from engine.models import AnsweredRequest, Run
from engine.store import answered_requests, sync_db
from engine.store.answered_requests import RequestKey
from engine.store.query import fetch
from tenants.models import Member
from tenants.tokens import create_token
from tests.api.client import Answer, ApiClient
from tests.api.factories import make_workflow, now
from tests.cast import Cast

GREET = {"workflowName": "greet", "input": {"who": "x"}}


@pytest.fixture
def path(cast: Cast) -> str:
    make_workflow(cast.tenant)
    return f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-runs/trigger"


def send(client: ApiClient, path: str, body: Any = GREET, key: str = "a") -> Answer:
    return client.post(path, body, **{"Idempotency-Key": key})


def test_the_same_request_is_done_once_and_answered_alike(api: ApiClient, path: str) -> None:
    first, again = send(api, path), send(api, path)
    assert (first.status, again.status) == (200, 200)
    assert again.content == first.content
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert Run.objects.count() == 1


def test_other_keys_and_none_are_other_requests(api: ApiClient, path: str) -> None:
    for key in ("a", "b"):
        assert send(api, path, key=key).status == 200
    for _ in range(2):
        assert api.post(path, GREET).status == 200
    assert Run.objects.count() == 4


def test_a_key_is_not_for_another_request(api: ApiClient, path: str, cast: Cast) -> None:
    assert send(api, path).status == 200
    answer = send(api, path, GREET | {"priority": 3})
    assert answer.status == 422
    assert "another request" in answer.error
    cancel = f"/api/v1/stable/tenants/{cast.tenant.id}/tasks/cancel"
    assert send(api, cancel).status == 422
    assert send(api, f"{path}?a=1").status == 422
    assert Run.objects.count() == 1


def test_a_refused_request_leaves_its_key_free(api: ApiClient, path: str) -> None:
    bodies: list[Any] = [{"workflowName": "nobody"}, [], {"workflowName": 7}]
    for body in bodies:
        assert send(api, path, body).status == 400
    assert AnsweredRequest.objects.count() == 0
    assert send(api, path).status == 200


def test_tenants_have_keys_of_their_own(api: ApiClient, path: str, cast: Cast) -> None:
    make_workflow(cast.other_tenant)
    other = ApiClient(token=create_token(cast.other_tenant, "theirs")[1])
    theirs = f"/api/v1/stable/tenants/{cast.other_tenant.id}/workflow-runs/trigger"
    assert send(api, path).status == send(other, theirs).status == 200
    assert send(other, path).status == 403
    assert Run.objects.count() == 2


def test_payloads_are_not_told_to_who_may_not_see_them(
    api: ApiClient, path: str, cast: Cast
) -> None:
    assert b"who" in send(api, path).content
    Member.objects.filter(user=cast.member).update(can_view_payloads=False)
    assert send(ApiClient(user=cast.member), path).status == 422


def test_rights_are_asked_before_an_answer_is_given(api: ApiClient, path: str, cast: Cast) -> None:
    assert send(api, path).status == 200
    assert send(ApiClient(), path).status == 403
    assert send(ApiClient(user=cast.viewer), path).status == 401
    assert send(ApiClient(user=cast.stranger), path).status == 401


def test_two_at_once_are_a_conflict(api: ApiClient, path: str, cast: Cast) -> None:
    key = RequestKey(cast.tenant.id, hashlib.sha256(b"a").digest(), b"")
    params: Any = {
        name: value
        for name, value in connection.get_connection_params().items()
        if name in ("host", "port", "user", "password", "dbname")
    }
    with psycopg.connect(**params) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [key.lock])
        assert send(api, path).status == 409
        assert send(api, path, key="b").status == 200
    assert send(api, path).status == 200
    assert Run.objects.count() == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb"])
def test_a_key_that_is_none_is_refused(api: ApiClient, path: str, key: str) -> None:
    answer = send(api, path, key=key)
    assert answer.status == 400
    assert "Idempotency-Key" in answer.error
    assert Run.objects.count() == 0


def test_a_body_that_is_too_large_is_refused(api: ApiClient, path: str) -> None:
    assert send(api, path, GREET | {"input": {"text": "x" * 5_000_000}}).status == 413
    assert AnsweredRequest.objects.count() == 0


def test_an_answer_is_kept_for_a_day(api: ApiClient, path: str) -> None:
    assert send(api, path).status == 200
    kept = AnsweredRequest.objects.get()
    assert timedelta(hours=23) < kept.expires_at - now() <= timedelta(hours=24)
    AnsweredRequest.objects.update(expires_at=now())
    assert "Idempotency-Replayed" not in send(api, path).headers
    assert Run.objects.count() == 2
    assert send(api, path).headers["Idempotency-Replayed"] == "true"


def test_what_is_over_is_cleared(api: ApiClient, path: str) -> None:
    for key in ("a", "b"):
        assert send(api, path, key=key).status == 200
    AnsweredRequest.objects.filter(key_digest=hashlib.sha256(b"a").digest()).update(
        expires_at=now()
    )
    sync_db.run(fetch(answered_requests.delete_expired(now())))
    assert [bytes(one.key_digest) for one in AnsweredRequest.objects.all()] == [
        hashlib.sha256(b"b").digest()
    ]


def test_reading_takes_no_key(api: ApiClient, path: str, cast: Cast) -> None:
    path = f"/api/v1/tenants/{cast.tenant.id}"
    assert api.get(path, None, **{"Idempotency-Key": "a"}).status == 200
    assert AnsweredRequest.objects.count() == 0


def test_an_answer_with_a_secret_is_not_kept(api: ApiClient, cast: Cast) -> None:
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/webhook-endpoints"
    new = {"url": "https://example.com/a", "kinds": ["run.failed"]}
    answer = send(api, path, new)
    assert answer.status == 400
    assert "Idempotency-Key" in answer.error
    assert api.get(path).json["rows"] == []
    assert AnsweredRequest.objects.count() == 0
