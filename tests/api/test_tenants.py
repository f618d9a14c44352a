"""Renaming a tenant, and the lists of what no tenant can have yet."""

from __future__ import annotations

from typing import Any

import pytest

from tenants.models import Tenant
from tests.api.client import ApiClient
from tests.api.load import failures_of
from tests.cast import Cast

EMPTY_LISTS = {
    "/api/v1/tenants/{tenant}/alerting-email-groups": "TenantAlertEmailGroupList",
    "/api/v1/tenants/{tenant}/slack": "ListSlackWebhooks",
    "/api/v1/tenants/{tenant}/sns": "ListSNSIntegrations",
}


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}"


def test_a_tenant_is_renamed(cast: Cast, api: ApiClient, path: str) -> None:
    before = api.get(path).json
    for client, name in ((ApiClient(user=cast.member), "Acme two"), (api, "Acme three")):
        answer = client.patch(path, {"name": name})
        assert (answer.status, answer.json["name"]) == (200, name)
        assert failures_of([["tenant", "Tenant", answer.json]]) == {}
    after = api.get(path).json
    assert after["name"] == "Acme three"
    assert after["slug"] == before["slug"]
    assert after["metadata"]["updatedAt"] > before["metadata"]["updatedAt"]


def test_what_it_is_already_may_be_said_again(cast: Cast, api: ApiClient, path: str) -> None:
    before = api.get(path).json
    same: dict[str, Any] = {
        "analyticsOptOut": True,
        "alertMemberEmails": True,
        "enableWorkflowRunFailureAlerts": False,
        "enableExpiringTokenAlerts": None,
        "enableTenantResourceLimitAlerts": True,
        "maxAlertingFrequency": "1h",
        "version": "V1",
    }
    assert api.patch(path, same).json == before
    assert api.patch(path, {}).json == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 201},
        {"name": 7},
        {"name": "a\x00b"},
        {"analyticsOptOut": False},
        {"analyticsOptOut": "yes"},
        {"alertMemberEmails": "yes"},
        {"enableWorkflowRunFailureAlerts": 1},
        {"maxAlertingFrequency": "soon"},
        {"maxAlertingFrequency": 60},
        {"version": "V0"},
        [],
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(
    cast: Cast, api: ApiClient, path: str, wrong: Any
) -> None:
    body = {"name": "Renamed"} | wrong if isinstance(wrong, dict) else wrong
    answer = api.patch(path, body)
    assert (answer.status, bool(answer.error)) == (400, True)
    assert Tenant.objects.get(id=cast.tenant.id).name == cast.tenant.name


def test_only_members_rename_their_own_tenant(cast: Cast, api: ApiClient, path: str) -> None:
    body = {"name": "Theirs"}
    assert ApiClient(user=cast.viewer).patch(path, body).status == 401
    assert ApiClient(user=cast.stranger).patch(path, body).status == 401
    assert ApiClient().patch(path, body).status == 403
    assert api.patch(f"/api/v1/tenants/{cast.other_tenant.id}", body).status == 403
    assert set(Tenant.objects.values_list("name", flat=True)).isdisjoint({"Theirs"})


def test_lists_of_what_cannot_be_made_yet_are_empty(cast: Cast, api: ApiClient) -> None:
    found = []
    for template, model in EMPTY_LISTS.items():
        answer = api.get(template.format(tenant=cast.tenant.id))
        assert (answer.status, answer.json["rows"]) == (200, [])
        found.append([template, model, answer.json])
    settings = api.get(f"/api/v1/tenants/{cast.tenant.id}/alerting/settings")
    found.append(["alerting", "TenantAlertingSettings", settings.json])
    assert failures_of(found) == {}
