"""Whoever owns another tenant learns nothing of this one over REST, and changes nothing of it.

Every operation is asked for with ids of this tenant in its path, its query and its body.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from engine.models import LogLine, RateLimit
from engine.models.filters import Filter
from engine.states import LogLevel, RateLimitWindow
from tenants.models import APIToken, Tenant
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.api.described import operation_of
from tests.api.factories import (
    complete,
    fail,
    make_one_of_each,
    make_worker,
    make_workflow,
    now,
    push_event,
    start_run,
    tasks_of,
)
from tests.api.routes import ROUTES, Route
from tests.cast import Cast
from tests.tenant_rows import rows_of

SECRET = "zanzibar"
LEFT_OUT = {"user:update:logout"}
"""It would end the session that walks."""


@pytest.fixture
def ids(cast: Cast) -> dict[str, str]:
    """Things of every kind, with a word in them that only this tenant knows."""
    tenant = cast.tenant
    Tenant.objects.filter(id=tenant.id).update(name=SECRET)
    ids = make_one_of_each(tenant)
    make_workflow(tenant, SECRET)
    told = {"input": SECRET}
    done = start_run(tenant, value=told, metadata=told)
    complete(tasks_of(done)[0], told)
    failed = start_run(tenant, value=told)
    fail(tasks_of(failed)[0], SECRET, should_not_retry=True)
    push_event(tenant, SECRET, told, metadata=told, scope=SECRET)
    make_worker(tenant, SECRET)
    Filter.objects.filter(tenant=tenant).update(scope=SECRET)
    APIToken.objects.filter(tenant=tenant).update(name=SECRET)
    RateLimit.objects.create(
        tenant_id=tenant.id,
        key=SECRET,
        limit_value=1,
        value=1,
        window=RateLimitWindow.DAY,
        refilled_at=now(),
        is_dynamic=False,
        created_at=now(),
        updated_at=now(),
    )
    LogLine.objects.create(
        run_id=done.id,
        task_id=done.id,
        tenant_id=tenant.id,
        retry_count=0,
        level=LogLevel.INFO,
        message=SECRET,
        created_at=now(),
    )
    return ids | {"run": str(done.id), "task": str(done.id)}


def value_of(schema: dict[str, Any], identity: str) -> Any:
    """Something that a schema allows, in which every UUID is the one given."""
    if "enum" in schema:
        return schema["enum"][0]
    if "oneOf" in schema:
        return value_of(schema["oneOf"][0], identity)
    match schema.get("type"):
        case "object":
            inner = schema.get("properties", {})
            return {name: value_of(one, identity) for name, one in inner.items()}
        case "array":
            return [value_of(schema["items"], identity)]
        case "integer":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _ if schema.get("format") == "uuid":
            return identity
        case _ if schema.get("format") == "date-time":
            return "2020-01-01T00:00:00Z"
        case _:
            return "a"


def requests(route: Route, ids: dict[str, str]) -> Iterator[tuple[str, str, bytes]]:
    """Method, path and body of each operation, once with every id in query and body."""
    path = route.path(ids)
    for operation in route.operations:
        if operation.is_public or operation.identity in LEFT_OUT:
            continue
        described = operation_of(operation.method, path) or {}
        content = described.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {"type": "object"})
        asked = {
            one["name"]: one["schema"]
            for one in described.get("parameters", ())
            if one["in"] == "query" and (one.get("required") or "uuid" in json.dumps(one["schema"]))
        }
        has_ids = "uuid" in json.dumps([schema, asked])
        for identity in sorted({*ids.values()} - {"greet"}) if has_ids else [ids["run"]]:
            body = json.dumps(value_of(schema, identity)).encode()
            query = {name: value_of(one, identity) for name, one in asked.items()}
            if "?" not in path and query:
                yield operation.method, f"{path}?{urlencode(query, doseq=True)}", body
            else:
                yield operation.method, path, body


@pytest.mark.parametrize("tenant_named", ["theirs", "own"])
@pytest.mark.parametrize("credentials", ["session", "token"])
def test_a_foreign_caller_learns_and_changes_nothing(
    credentials: str, tenant_named: str, cast: Cast, ids: dict[str, str]
) -> None:
    if credentials == "session":
        client = ApiClient(user=cast.stranger)
    else:
        client = ApiClient(token=create_token(cast.other_tenant, "theirs")[1])
    make_one_of_each(cast.other_tenant)
    words = {SECRET, *ids.values()} - {ids["name"]}
    if tenant_named == "own":
        ids |= {"tenant": str(cast.other_tenant.id)}
    before, told = rows_of(cast.tenant.id), {}
    for route in ROUTES:
        for method, path, body in requests(route, ids):
            answer = client.send(method, path, body)
            said = {word for word in words if word not in path and word.encode() not in body}
            if answer.status >= 500 or any(word.encode() in answer.content for word in said):
                told[f"{method} {path}"] = (answer.status, answer.content[:200])
    assert told == {}
    assert rows_of(cast.tenant.id) == before


def test_the_secret_is_there_to_be_found(cast: Cast, ids: dict[str, str]) -> None:
    client, found = ApiClient(user=cast.owner), set()
    for route in ROUTES:
        for operation in route.operations:
            if operation.method == "GET":
                answer = client.get(route.path(ids), {"since": "2020-01-01T00:00:00Z"})
                if SECRET.encode() in answer.content:
                    found.add(operation.identity)
    assert found >= {
        "tenant:get",
        "workflow:list",
        "worker:list",
        "rate-limit:list",
        "api-token:list",
        "v1-filter:list",
        "v1-event:list",
        "v1-workflow-run:get",
        "v1-task:get",
        "v1-log-line:list",
    }
