"""Invites over REST: statuses, shapes, and who may do what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from tenants.buckets import Buckets
from tenants.models import Member, Role, TenantInvite
from tenants.rest import views
from tests.api.client import Answer, ApiClient
from tests.api.load import failures_of
from tests.cast import Cast, make_user
from tests.tenants.people import NO_MAIL, allow, secret_in

NEW = "new@acme.test"


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}/invites"


def create(cast: Cast, path: str, actor: Role = Role.ADMIN, **given: Any) -> Answer:
    body = {"email": NEW, "role": "MEMBER"} | given
    return ApiClient(user=cast.by_role(actor)).post(path, body)


def test_an_invite_is_made_listed_changed_and_withdrawn(cast: Cast, path: str) -> None:
    admin = ApiClient(user=cast.admin)
    made = create(cast, path, email="New@Acme.test", canViewPayloads=False)
    assert made.status == 201
    assert (made.json["email"], made.json["role"]) == (NEW, "MEMBER")
    assert (made.json["tenantName"], made.json["canViewPayloads"]) == ("Acme", False)
    lasts = datetime.fromisoformat(made.json["expires"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < lasts <= timedelta(days=7)
    assert "link" not in made.json
    one = f"{path}/{made.json['metadata']['id']}"
    changed = admin.patch(one, {"role": "VIEWER"})
    assert (changed.status, changed.json["role"]) == (200, "VIEWER")
    assert changed.json["canViewPayloads"] is False
    listing = admin.get(path)
    gone = admin.delete(one)
    assert (gone.status, gone.json["metadata"]["id"]) == (200, made.json["metadata"]["id"])
    assert admin.get(path).json["rows"] == []
    assert admin.delete(one).status == 404
    found = {"made": made.json, "changed": changed.json, "gone": gone.json}
    assert failures_of([[label, "TenantInvite", shape] for label, shape in found.items()]) == {}
    assert failures_of([["list", "TenantInviteList", listing.json]]) == {}


def test_the_link_is_in_the_answer_only_where_no_mail_left(
    cast: Cast, path: str, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = NO_MAIL
    made = create(cast, path)
    assert made.json["link"].startswith("http://hatchet.test:8080/invites/")
    assert failures_of([["made", "TenantInvite", made.json]]) == {}
    assert b"/invites/" not in ApiClient(user=cast.admin).get(path).content
    one = f"{path}/{made.json['metadata']['id']}/renew"
    again = ApiClient(user=cast.admin).post(one)
    assert again.status == 200
    assert again.json["link"] != made.json["link"]


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_they_are_for_admins(cast: Cast, path: str, role: Role) -> None:
    one = f"{path}/{create(cast, path).json['metadata']['id']}"
    client = ApiClient(user=cast.by_role(role))
    for answer in (
        client.get(path),
        client.post(path, {"email": "b@acme.test", "role": "VIEWER"}),
        client.patch(one, {"role": "VIEWER"}),
        client.delete(one),
        client.post(f"{one}/renew"),
    ):
        assert answer.status == 401


def test_a_token_reads_them_and_no_more(cast: Cast, api: ApiClient, path: str) -> None:
    one = f"{path}/{create(cast, path).json['metadata']['id']}"
    assert api.get(path).status == 200
    for answer in (
        api.post(path, {"email": "b@acme.test", "role": "VIEWER"}),
        api.patch(one, {"role": "VIEWER"}),
        api.delete(one),
        api.post(f"{one}/renew"),
    ):
        assert answer.status == 403
    assert TenantInvite.objects.get().role == Role.MEMBER


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": None},
        {"email": 7},
        {"email": "nobody"},
        {"email": "a\x00@acme.test"},
        {"email": "x" * 3_000_000 + "@acme.test"},
        {"email": "member@acme.test"},
        {"role": None},
        {"role": "ROOT"},
        {"role": "OWNER"},
        {"role": ["MEMBER"]},
        {"canViewPayloads": "yes"},
    ],
    ids=lambda wrong: str(wrong)[:30].replace("\x00", "NUL"),
)
def test_what_is_wrong_is_refused(cast: Cast, path: str, wrong: dict[str, Any]) -> None:
    answer = create(cast, path, **wrong)
    assert (answer.status, bool(answer.error)) == (400, True)
    assert not TenantInvite.objects.exists()
    assert mail.outbox == []


def test_too_many_and_twice(cast: Cast, path: str, settings: Settings) -> None:
    allow(settings, max_pending_invites=1)
    assert create(cast, path).status == 201
    assert create(cast, path).status == 400
    assert create(cast, path, email="b@acme.test").status == 403


def test_ten_a_second_are_enough(cast: Cast, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "asked", Buckets(10.0, 10.0, lambda: 0.0))
    statuses = [create(cast, path, email=f"{n}@acme.test").status for n in range(11)]
    assert statuses == [201] * 10 + [429]
    assert ApiClient(user=cast.admin).get(path).status == 200


class TestTheInvited:
    @pytest.fixture
    def invited(self, cast: Cast, path: str) -> ApiClient:
        create(cast, path, Role.OWNER)
        return ApiClient(user=make_user(NEW))

    def own(self, client: ApiClient) -> list[str]:
        rows = client.get("/api/v1/users/invites").json["rows"]
        return [row["metadata"]["id"] for row in rows]

    def test_find_accept_and_are_in(self, cast: Cast, invited: ApiClient) -> None:
        listing = invited.get("/api/v1/users/invites")
        assert failures_of([["mine", "TenantInviteList", listing.json]]) == {}
        (mine,) = self.own(invited)
        answer = invited.post("/api/v1/users/invites/accept", {"invite": mine})
        assert (answer.status, answer.content) == (200, b"")
        assert invited.get(f"/api/v1/tenants/{cast.tenant.id}").status == 200
        assert self.own(invited) == []
        again = invited.post("/api/v1/users/invites/accept", {"invite": mine})
        assert (again.status, "was used" in again.error) == (400, True)

    def test_reject_and_stay_out(self, cast: Cast, invited: ApiClient) -> None:
        (mine,) = self.own(invited)
        answer = invited.post("/api/v1/users/invites/reject", {"invite": mine})
        assert (answer.status, answer.content) == (200, b"")
        assert invited.post("/api/v1/users/invites/accept", {"invite": mine}).status == 400
        assert invited.get(f"/api/v1/tenants/{cast.tenant.id}").status == 401

    def test_accept_by_the_last_part_of_the_link(self, cast: Cast, invited: ApiClient) -> None:
        secret = secret_in(str(mail.outbox[0].body))
        assert ApiClient().post("/api/v1/users/invites/accept", {"invite": secret}).status == 403
        foreign = ApiClient(user=cast.stranger)
        assert foreign.post("/api/v1/users/invites/accept", {"invite": secret}).status == 400
        assert invited.post("/api/v1/users/invites/accept", {"invite": secret}).status == 200
        assert Member.objects.filter(tenant=cast.tenant, user__email=NEW).exists()

    def test_others_do_not_find_it(self, cast: Cast, invited: ApiClient) -> None:
        (mine,) = self.own(invited)
        foreign = ApiClient(user=cast.stranger)
        assert self.own(foreign) == []
        for answer in ("accept", "reject"):
            for invite in (mine, str(uuid4())):
                path = f"/api/v1/users/invites/{answer}"
                assert foreign.post(path, {"invite": invite}).status == 404
        assert not Member.objects.filter(tenant=cast.tenant, user=cast.stranger).exists()

    def test_too_late(self, invited: ApiClient) -> None:
        (mine,) = self.own(invited)
        TenantInvite.objects.update(expires_at=timezone.now())
        assert self.own(invited) == []
        assert invited.post("/api/v1/users/invites/accept", {"invite": mine}).status == 400

    @pytest.mark.parametrize(
        "wrong",
        [None, "", 7, [], "a\x00", "x" * 300],
        ids=["none", "empty", "int", "list", "nul", "long"],
    )
    def test_what_is_no_invite(self, invited: ApiClient, wrong: Any) -> None:
        for answer in ("accept", "reject"):
            path = f"/api/v1/users/invites/{answer}"
            assert invited.post(path, {"invite": wrong}).status == 400

    def test_not_as_a_token(self, api: ApiClient, invited: ApiClient) -> None:
        for answer in ("accept", "reject"):
            body = {"invite": self.own(invited)[0]}
            assert api.post(f"/api/v1/users/invites/{answer}", body).status == 403
