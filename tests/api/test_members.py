"""Members and tenants over REST: statuses as the contract has them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from tenants.models import Member, Role, Tenant, User
from tenants.rest.views import ARCHIVED
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.api.factories import make_workflow
from tests.api.load import failures_of
from tests.cast import Cast, make_user
from tests.tenants.people import allow


@pytest.fixture
def tenant(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}"


def path_of(cast: Cast, user: User) -> str:
    member = Member.objects.get(tenant=cast.tenant, user=user)
    return f"/api/v1/tenants/{cast.tenant.id}/members/{member.id}"


class TestMembers:
    def test_a_role_is_changed(self, cast: Cast) -> None:
        admin = ApiClient(user=cast.admin)
        body = {"role": "MEMBER", "canViewPayloads": False}
        answer = admin.patch(path_of(cast, cast.viewer), body)
        assert (answer.status, answer.json["role"]) == (200, "MEMBER")
        assert answer.json["canViewPayloads"] is False
        assert failures_of([["member", "TenantMember", answer.json]]) == {}

    @pytest.mark.parametrize(
        ("actor", "of", "role", "status"),
        [
            (Role.ADMIN, Role.ADMIN, "VIEWER", 400),
            (Role.OWNER, Role.OWNER, "VIEWER", 400),
            (Role.ADMIN, Role.OWNER, "VIEWER", 400),
            (Role.ADMIN, Role.OWNER, "OWNER", 400),
            (Role.ADMIN, Role.VIEWER, "OWNER", 400),
            (Role.MEMBER, Role.VIEWER, "MEMBER", 401),
            (Role.VIEWER, Role.MEMBER, "VIEWER", 401),
            (Role.OWNER, Role.VIEWER, "OWNER", 200),
            (Role.OWNER, Role.ADMIN, "VIEWER", 200),
        ],
    )
    def test_who_changes_whom(
        self, cast: Cast, actor: Role, of: Role, role: str, status: int
    ) -> None:
        path = path_of(cast, cast.by_role(of))
        answer = ApiClient(user=cast.by_role(actor)).patch(path, {"role": role})
        assert answer.status == status
        after = Member.objects.get(tenant=cast.tenant, user=cast.by_role(of)).role
        assert after == (role if status == 200 else of)

    @pytest.mark.parametrize(
        ("actor", "of", "status"),
        [
            (Role.OWNER, Role.ADMIN, 204),
            (Role.OWNER, Role.OWNER, 403),
            (Role.ADMIN, Role.VIEWER, 403),
            (Role.ADMIN, Role.ADMIN, 403),
            (Role.MEMBER, Role.VIEWER, 401),
        ],
    )
    def test_who_removes_whom(self, cast: Cast, actor: Role, of: Role, status: int) -> None:
        path = path_of(cast, cast.by_role(of))
        answer = ApiClient(user=cast.by_role(actor)).delete(path)
        assert (answer.status, answer.content == b"") == (status, status == 204)
        is_there = Member.objects.filter(tenant=cast.tenant, user=cast.by_role(of)).exists()
        assert is_there is (status != 204)

    def test_who_is_removed_is_out_at_once(self, cast: Cast, tenant: str) -> None:
        member = ApiClient(user=cast.member)
        assert member.get(tenant).status == 200
        ApiClient(user=cast.owner).delete(path_of(cast, cast.member))
        assert member.get(tenant).status == 401

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"role": None},
            {"role": "ROOT"},
            {"role": 1},
            {"role": "VIEWER", "canViewPayloads": 1},
            [],
        ],
        ids=str,
    )
    def test_what_is_wrong_is_refused(self, cast: Cast, body: Any) -> None:
        path = path_of(cast, cast.member)
        assert ApiClient(user=cast.owner).patch(path, body).status == 400
        assert Member.objects.get(user=cast.member).role == Role.MEMBER

    def test_who_is_not_there(self, cast: Cast, tenant: str) -> None:
        owner = ApiClient(user=cast.owner)
        theirs = Member.objects.get(user=cast.stranger).id
        for member in (uuid4(), theirs):
            assert owner.patch(f"{tenant}/members/{member}", {"role": "VIEWER"}).status == 404
            assert owner.delete(f"{tenant}/members/{member}").status == 404
        assert owner.delete(f"{tenant}/members/nobody").status == 400
        assert Member.objects.filter(id=theirs).exists()

    def test_tokens_change_nobody(self, cast: Cast, api: ApiClient, tenant: str) -> None:
        path = path_of(cast, cast.viewer)
        assert api.patch(path, {"role": "ADMIN"}).status == 403
        assert api.delete(path).status == 403
        assert api.post(f"{tenant}/leave").status == 403
        assert Member.objects.get(user=cast.viewer).role == Role.VIEWER

    def test_one_leaves(self, cast: Cast, tenant: str) -> None:
        viewer = ApiClient(user=cast.viewer)
        assert viewer.post(f"{tenant}/leave").status == 204
        assert viewer.get(tenant).status == 401
        answer = ApiClient(user=cast.owner).post(f"{tenant}/leave")
        assert (answer.status, "last owner" in answer.error) == (400, True)


class TestMakingTenants:
    def test_whoever_is_signed_in_makes_one(self, cast: Cast) -> None:
        client = ApiClient(user=make_user("new@acme.test"))
        body = {"name": "Mine", "slug": "mine", "engineVersion": "V1", "environment": "production"}
        answer = client.post("/api/v1/tenants", body | {"onboardingData": {"a": 1}})
        assert (answer.status, answer.json["environment"]) == (200, "production")
        assert failures_of([["tenant", "Tenant", answer.json]]) == {}
        (row,) = client.get("/api/v1/users/memberships").json["rows"]
        assert (row["role"], row["tenant"]["slug"]) == ("OWNER", "mine")
        assert client.post("/api/v1/tenants", body).status == 400

    def test_not_with_a_token_and_not_when_it_is_switched_off(
        self, cast: Cast, api: ApiClient, settings: Settings
    ) -> None:
        body = {"name": "Mine", "slug": "mine"}
        assert api.post("/api/v1/tenants", body).status == 403
        assert ApiClient().post("/api/v1/tenants", body).status == 403
        allow(settings, allow_create_tenant=False)
        answer = ApiClient(user=cast.owner).post("/api/v1/tenants", body)
        assert (answer.status, "switched off" in answer.error) == (400, True)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": None},
            {"name": "a\x00b"},
            {"name": "x" * 3_000_000},
            {"slug": None},
            {"slug": "a b"},
            {"slug": "../x"},
            {"slug": "x" * 3_000_000},
            {"slug": "acme"},
            {"engineVersion": "V0"},
            {"environment": "moon"},
        ],
        ids=lambda wrong: str(wrong)[:30].replace("\x00", "NUL"),
    )
    def test_what_is_wrong_is_refused(self, cast: Cast, wrong: dict[str, Any]) -> None:
        body = {"name": "Mine", "slug": "mine"} | wrong
        assert ApiClient(user=cast.owner).post("/api/v1/tenants", body).status == 400
        assert not Tenant.objects.filter(name="Mine").exists()


class TestArchiving:
    def test_it_can_be_read_and_not_changed(
        self,
        cast: Cast,
        api: ApiClient,
        tenant: str,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        owner = ApiClient(user=cast.owner)
        make_workflow(cast.tenant)
        trigger = f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-runs/trigger"
        body = {"workflowName": "greet", "input": {}}
        with django_capture_on_commit_callbacks(execute=True):
            archived = owner.post(f"{tenant}/archive")
        assert (archived.status, "archivedAt" in archived.json) == (200, True)
        assert failures_of([["tenant", "Tenant", archived.json]]) == {}
        assert owner.get(f"{tenant}/workflows").status == 200
        refused = owner.post(trigger, body)
        assert (refused.status, refused.error) == (409, ARCHIVED)
        assert owner.patch(tenant, {"name": "New"}).status == 409
        assert api.get(tenant).status == 403
        with django_capture_on_commit_callbacks(execute=True):
            assert "archivedAt" not in owner.post(f"{tenant}/unarchive").json
        assert owner.post(trigger, body).status == 200
        assert api.get(tenant).status == 200

    def test_rights_are_taken_away_in_it_as_elsewhere(self, cast: Cast, tenant: str) -> None:
        owner = ApiClient(user=cast.owner)
        body = {"email": "new@acme.test", "role": "VIEWER"}
        made = owner.post(f"{tenant}/invites", body).json["metadata"]["id"]
        token, _ = create_token(cast.tenant, "ci")
        owner.post(f"{tenant}/archive")
        assert owner.patch(path_of(cast, cast.admin), {"role": "VIEWER"}).status == 200
        assert owner.delete(path_of(cast, cast.member)).status == 204
        assert owner.delete(f"{tenant}/invites/{made}").status == 200
        assert owner.post(f"/api/v1/api-tokens/{token.id}").status == 204
        assert owner.post(f"{tenant}/invites", body).status == 409

    @pytest.mark.parametrize("what", ["archive", "unarchive"])
    def test_it_is_for_owners(self, cast: Cast, api: ApiClient, tenant: str, what: str) -> None:
        assert ApiClient(user=cast.admin).post(f"{tenant}/{what}").status == 403
        assert ApiClient(user=cast.viewer).post(f"{tenant}/{what}").status == 401
        assert api.post(f"{tenant}/{what}").status == 403

    def test_a_webhook_of_it_takes_nothing(self, cast: Cast, tenant: str) -> None:
        owner = ApiClient(user=cast.owner)
        stable = f"/api/v1/stable/tenants/{cast.tenant.id}/webhooks"
        auth = {"headerName": "X-Key", "apiKey": "a secret"}
        new = {"name": "a", "sourceName": "GENERIC", "eventKeyExpression": "'a'"}
        owner.post(stable, new | {"authType": "API_KEY", "auth": auth})
        owner.post(f"{tenant}/archive")
        send = {"n": 1}, {"X-Key": "a secret"}
        assert ApiClient().post(f"{stable}/a", send[0], **send[1]).status == 404
        assert owner.get(f"{stable}/a").status == 200
        owner.post(f"{tenant}/unarchive")
        assert ApiClient().post(f"{stable}/a", send[0], **send[1]).status == 200


class TestDeleting:
    def test_it_is_gone_at_once_for_everybody(
        self,
        cast: Cast,
        api: ApiClient,
        tenant: str,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        assert api.get(tenant).status == 200
        owner = ApiClient(user=cast.owner)
        with django_capture_on_commit_callbacks(execute=True):
            answer = owner.delete(tenant, {"confirm": "acme"})
        assert (answer.status, answer.content) == (204, b"")
        assert owner.get(tenant).status == 404
        assert api.get(tenant).status == 403
        assert owner.get("/api/v1/users/memberships").json["rows"] == []
        late = ApiClient(token=create_token(cast.tenant, "late")[1])
        assert late.get(tenant).status == 403

    @pytest.mark.parametrize(
        "body",
        [
            None,
            {},
            {"confirm": None},
            {"confirm": "Acme"},
            {"confirm": 7},
            {"confirm": "x" * 3_000_000},
            [],
        ],
        ids=lambda body: str(body)[:20],
    )
    def test_not_unless_it_is_meant(self, cast: Cast, tenant: str, body: Any) -> None:
        assert ApiClient(user=cast.owner).delete(tenant, body).status == 400
        assert Tenant.objects.filter(id=cast.tenant.id, deleted_at=None).exists()

    def test_it_is_for_owners(self, cast: Cast, api: ApiClient, tenant: str) -> None:
        body = {"confirm": "acme"}
        assert ApiClient(user=cast.admin).delete(tenant, body).status == 403
        assert ApiClient(user=cast.viewer).delete(tenant, body).status == 401
        assert ApiClient(user=cast.stranger).delete(tenant, body).status == 401
        assert api.delete(tenant, body).status == 403
        assert Tenant.objects.filter(id=cast.tenant.id).exists()
