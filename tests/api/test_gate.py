"""Nobody enters a tenant through any route without the right to."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from engine.api import not_offered
from tenants import token_cache
from tenants.models import APIToken, Member, Role, User
from tenants.tokens import create_token, revoke_token
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, push_event
from tests.api.routes import ROUTES
from tests.cast import Cast

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
PUBLIC = {
    "api/live",
    "api/ready",
    "api/v1/openapi.json",
    "api/v1/asyncapi.yaml",
    "api/v1/meta",
    "api/v1/version",
    "api/v1/cloud/metadata",
    "api/v1/users/login",
    "api/v1/users/register",
    "api/v1/users/google/start",
    "api/v1/users/google/callback",
    "api/v1/users/github/start",
    "api/v1/users/github/callback",
    "api/v1/users/oidc/start",
    "api/v1/users/oidc/callback",
    "api/v1/sns/<str:tenant>/<str:event>",
}
PUBLIC_METHODS = {"POST api/v1/stable/tenants/<str:tenant>/webhooks/<path:name>"}
"""What is sent to a webhook proves itself."""
OF_ANY_TOKEN = {"v1/traces"}
"""Where the tenant is that of the token, whose it is."""
LOGOUT = "api/v1/users/logout"
"""Left out of the walk, which would go on as nobody."""


def test_the_walk_sees_the_routes() -> None:
    assert len(ROUTES) > 80


def refused(client: ApiClient, resources: dict[str, str]) -> dict[str, int]:
    """Send every method to every route; return what was not refused."""
    let_in = {}
    for route in ROUTES:
        if route.text in PUBLIC or route.text == LOGOUT:
            continue
        for method in METHODS:
            if f"{method} {route.text}" in PUBLIC_METHODS:
                continue
            answer = client.send(method, route.path(resources), b"{}")
            if answer.status not in {401, 403}:
                let_in[f"{method} {route.text}"] = answer.status
            else:
                assert answer.error
    return let_in


def test_anonymous_callers_are_refused_everywhere(resources: dict[str, str]) -> None:
    assert refused(ApiClient(), resources) == {}


def test_a_bad_token_is_refused_everywhere(resources: dict[str, str]) -> None:
    assert refused(ApiClient(token="ey.not.valid"), resources) == {}


OWN_AFFAIRS = {
    "GET api/v1/users/current": 200,
    "GET api/v1/users/memberships": 200,
    "GET api/v1/users/invites": 200,
    "GET api/v1/meta/integrations": 200,
    "GET api/v1/users/slack/callback": 400,
    "POST api/v1/tenants": 400,
    "POST api/v1/users/invites/accept": 400,
    "POST api/v1/users/invites/reject": 400,
    "POST api/v1/users/password": 400,
}
REFUSED_TO_ALL = {*not_offered.LATER_ALONE, *not_offered.LEGACY_ALONE}


def without_refusals_to_all(let_in: dict[str, int]) -> dict[str, int]:
    return {
        what: status
        for what, status in let_in.items()
        if status != 400 or what.split(" ")[1] not in REFUSED_TO_ALL
    }


def test_a_stranger_gets_nowhere_but_to_their_own_affairs(
    cast: Cast, resources: dict[str, str]
) -> None:
    let_in = without_refusals_to_all(refused(ApiClient(user=cast.stranger), resources))
    assert {what: status for what, status in let_in.items() if status != 405} == OWN_AFFAIRS
    own = re.compile(r"\w+ api/v1/(users/.+|meta/integrations|tenants)")
    assert all(own.fullmatch(what) for what in let_in)


def test_a_foreign_token_is_refused_everywhere(cast: Cast, resources: dict[str, str]) -> None:
    client = ApiClient(token=create_token(cast.other_tenant, "theirs")[1])
    let_in = without_refusals_to_all(refused(client, resources))
    assert {
        what: status for what, status in let_in.items() if what.split()[1] not in OF_ANY_TOKEN
    } == {}


def test_another_tenants_event_is_not_found_under_the_own_tenant(
    cast: Cast, api: ApiClient
) -> None:
    event = push_event(cast.other_tenant, "secret")
    answer = api.get(f"/api/v1/stable/tenants/{cast.tenant.id}/events/{event.event_id}")
    assert answer.status == 404


def test_logging_out_needs_a_session(cast: Cast, api: ApiClient) -> None:
    assert ApiClient().post(f"/{LOGOUT}").status == 403
    assert api.post(f"/{LOGOUT}").status == 403


class TestTokens:
    @pytest.fixture
    def path(self, cast: Cast) -> str:
        return f"/api/v1/tenants/{cast.tenant.id}"

    def test_a_valid_token_enters_with_any_case_of_the_scheme(self, cast: Cast, path: str) -> None:
        token = create_token(cast.tenant, "ci")[1]
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert ApiClient().get(path, Authorization=f"{scheme} {token}").status == 200

    @pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
    def test_other_schemes_are_refused(self, cast: Cast, path: str, scheme: str) -> None:
        token = create_token(cast.tenant, "ci")[1]
        assert ApiClient().get(path, Authorization=f"{scheme} {token}").status == 403

    def test_an_expired_token_is_refused(self, cast: Cast, path: str) -> None:
        token = create_token(cast.tenant, "old", timedelta(seconds=-5))[1]
        assert ApiClient(token=token).get(path).status == 403

    def test_a_revoked_token_is_refused_at_once(
        self,
        cast: Cast,
        path: str,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        record, token = create_token(cast.tenant, "ci")
        client = ApiClient(token=token)
        assert client.get(path).status == 200
        with django_capture_on_commit_callbacks(execute=True):
            revoke_token(record.id)
        assert client.get(path).status == 403

    def test_a_token_revoked_elsewhere_is_refused_within_a_second(
        self, cast: Cast, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record, token = create_token(cast.tenant, "ci")
        client = ApiClient(token=token)
        assert client.get(path).status == 200
        APIToken.objects.filter(id=record.id).update(revoked_at=record.created_at)
        shared = token_cache.shared
        real = shared._clock
        monkeypatch.setattr(shared, "_clock", lambda: real() + 0.9)
        assert client.get(path).status == 403

    def test_an_unknown_tenant_is_not_found(self, api: ApiClient) -> None:
        assert api.get(f"/api/v1/tenants/{uuid4()}").status == 404


class TestRoles:
    def test_a_viewer_reads_but_changes_nothing(self, cast: Cast) -> None:
        viewer = ApiClient(user=cast.viewer)
        make_workflow(cast.tenant)
        base = f"/api/v1/stable/tenants/{cast.tenant.id}"
        assert viewer.get(f"/api/v1/tenants/{cast.tenant.id}/workflows").status == 200
        body = {"workflowName": "greet", "input": {}}
        assert viewer.post(f"{base}/workflow-runs/trigger", body).status == 401
        assert ApiClient(user=cast.member).post(f"{base}/workflow-runs/trigger", body).status == 200

    @pytest.mark.parametrize(
        ("role", "status"),
        [(Role.VIEWER, 401), (Role.MEMBER, 401), (Role.ADMIN, 200), (Role.OWNER, 200)],
    )
    def test_tokens_and_members_are_for_admins(self, cast: Cast, role: Role, status: int) -> None:
        client = ApiClient(user=cast.by_role(role))
        for what in ("api-tokens", "members"):
            assert client.get(f"/api/v1/tenants/{cast.tenant.id}/{what}").status == status

    def test_an_unverified_email_is_refused_except_about_oneself(self, cast: Cast) -> None:
        User.objects.filter(id=cast.owner.id).update(is_email_verified=False)
        client = ApiClient(user=cast.owner)
        assert client.get(f"/api/v1/tenants/{cast.tenant.id}").status == 401
        assert client.get("/api/v1/users/memberships").status == 401
        assert client.get("/api/v1/users/current").status == 200

    def test_who_leaves_the_tenant_is_out(self, cast: Cast) -> None:
        client = ApiClient(user=cast.member)
        assert client.get(f"/api/v1/tenants/{cast.tenant.id}").status == 200
        Member.objects.filter(user=cast.member).delete()
        assert client.get(f"/api/v1/tenants/{cast.tenant.id}").status == 401
