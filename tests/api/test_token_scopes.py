"""What a token of each scope may call over REST: every operation of every path."""

from __future__ import annotations

from typing import Any

import pytest

from engine.models import Run
from tenants.models import TokenScope
from tenants.rest.views import TenantView
from tenants.token_scopes import OPERATIONS, refusal
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.api.factories import start_run, tasks_of
from tests.api.routes import ROUTES, Route
from tests.cast import Cast

OF_TOKENS = {
    operation.identity: (route, operation.method)
    for route in ROUTES
    for operation in route.operations
    if not operation.is_public
    and issubclass(route.view, TenantView)
    and not route.view.refuses_tokens
}
"""The operations that API tokens may call at all."""
SCOPED = [scope for scope in TokenScope if scope is not TokenScope.FULL]


def client_of(cast: Cast, scope: TokenScope) -> ApiClient:
    return ApiClient(token=create_token(cast.tenant, "scoped", scope=scope)[1])


def test_every_operation_of_tokens_has_its_place() -> None:
    assert set(OPERATIONS) == set(OF_TOKENS)


@pytest.mark.parametrize("scope", TokenScope)
def test_a_token_calls_what_its_scope_allows_and_nothing_else(
    scope: TokenScope, cast: Cast, resources: dict[str, str]
) -> None:
    client = client_of(cast, scope)
    wrong = {}
    # First what is refused: it must find everything in its place.
    for identity in sorted(OPERATIONS, key=lambda identity: scope in OPERATIONS[identity]):
        route, method = OF_TOKENS[identity]
        answer = client.send(method, route.path(resources), b"{}")
        if scope in OPERATIONS[identity]:
            is_right = answer.status not in (401, 403)
        else:
            is_right = answer.status == 403 and answer.error == refusal(scope, identity)
        if not is_right:
            wrong[identity] = (answer.status, answer.content[:200])
    assert wrong == {}


@pytest.mark.parametrize("scope", SCOPED)
def test_what_is_not_offered_is_not_for_them(
    scope: TokenScope, cast: Cast, resources: dict[str, str]
) -> None:
    def undescribed(route: Route) -> bool:
        return not route.operations and issubclass(route.view or object, TenantView)

    client = client_of(cast, scope)
    paths = [route.path(resources) for route in ROUTES if undescribed(route)]
    assert paths
    assert {client.get(path).status for path in paths} == {403}


def test_a_reader_may_ask_for_heads(cast: Cast, resources: dict[str, str]) -> None:
    path = f"/api/v1/tenants/{cast.tenant.id}/workflows"
    for scope, status in ((TokenScope.READ_ONLY, 200), (TokenScope.TRIGGER_ONLY, 403)):
        token = create_token(cast.tenant, "scoped", scope=scope)[1]
        head = client_of(cast, scope).http.head(path, headers={"Authorization": f"Bearer {token}"})
        assert head.status_code == status


def test_a_foreign_token_is_told_that_it_is_foreign(cast: Cast) -> None:
    token = create_token(cast.other_tenant, "theirs", scope=TokenScope.READ_ONLY)[1]
    answer = ApiClient(token=token).post(
        f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-runs/trigger", {}
    )
    assert (answer.status, answer.error) == (403, "the token belongs to another tenant")


def test_a_trigger_token_starts_a_run(cast: Cast, resources: dict[str, str]) -> None:
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-runs/trigger"
    body = {"workflowName": "greet", "input": {}}
    before = Run.objects.count()
    assert client_of(cast, TokenScope.READ_ONLY).post(path, body).status == 403
    assert Run.objects.count() == before
    assert client_of(cast, TokenScope.TRIGGER_ONLY).post(path, body).status == 200
    assert Run.objects.count() == before + 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"filter": {"since": "2020-01-01T00:00:00Z"}}, 403),
        ({"externalIds": []}, 200),
    ],
    ids=["by a filter", "by ids"],
)
def test_a_worker_cancels_by_ids_only(
    body: dict[str, Any], status: int, cast: Cast, resources: dict[str, str]
) -> None:
    task = tasks_of(start_run(cast.tenant))[0]
    if "externalIds" in body:
        body = {"externalIds": [str(task.id)]}
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/tasks/cancel"
    answer = client_of(cast, TokenScope.WORKER_ONLY).post(path, body)
    assert answer.status == status
    task.refresh_from_db()
    assert (task.finished_at is not None) == (status == 200)
