"""Signing in and out, and how little a wrong attempt learns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tenants.audit.models import AuditEntry
from tenants.models import Role, SignInTries, Tenant, User
from tenants.sign_in_limits import TRIES_PER_ADDRESS_AND_ACCOUNT
from tests.dashboard import factories


@pytest.fixture
def user(tenant: Tenant) -> User:
    return factories.make_member(tenant, Role.MEMBER)


def attempt(client: Client, email: str, password: str, **more: str) -> int:
    answer = client.post("/login", {"email": email, "password": password} | more)
    return answer.status_code


def test_good_credentials_lead_to_the_first_tenant(
    anonymous: Client, user: User, tenant: Tenant
) -> None:
    assert attempt(anonymous, f"  {user.email.upper()} ", factories.PASSWORD) == 302
    answer = anonymous.get("/")
    assert answer["Location"] == f"/t/{tenant.slug}/"


def test_every_failure_reads_the_same(anonymous: Client, user: User) -> None:
    inactive = factories.make_user()
    User.objects.filter(id=inactive.id).update(is_active=False)
    texts = set()
    for email, password in (
        (user.email, "wrong"),
        ("nobody@example.org", "wrong"),
        (inactive.email, factories.PASSWORD),
        (user.email, ""),
        ("nul\0@example.org", "x"),
        ("x" * 400, "x"),
        (user.email, "x" * 5000),
    ):
        answer = anonymous.post("/login", {"email": email, "password": password})
        assert answer.status_code == 422
        text = answer.content.decode()
        texts.add(text[text.index('role="alert"') : text.index("</p>", text.index("alert"))])
    assert len(texts) == 1
    assert "_auth_user_id" not in anonymous.session


def failed() -> list[tuple[str, str, str]]:
    told = AuditEntry.objects.filter(action="user.sign_in_failed").order_by("id")
    return [(one.resource_name, one.actor_id, one.address) for one in told]


def test_failures_are_in_the_audit_log_whether_or_not_there_is_such_an_account(
    anonymous: Client, user: User
) -> None:
    attempt(anonymous, user.email, "wrong")
    attempt(anonymous, "nobody@example.org", "wrong")
    wrong = {"email": user.email, "password": "Wrong-1"}
    answer = anonymous.post("/api/v1/users/login", wrong, content_type="application/json")
    assert answer.status_code == 400
    assert failed() == [
        (email, "", "127.0.0.1") for email in (user.email, "nobody@example.org", user.email)
    ]
    assert "wrong" not in str(AuditEntry.objects.values_list())
    attempt(anonymous, user.email, factories.PASSWORD)
    assert len(failed()) == 3


def test_too_many_tries_are_refused_even_with_the_right_password(
    anonymous: Client, user: User
) -> None:
    for _ in range(TRIES_PER_ADDRESS_AND_ACCOUNT):
        assert attempt(anonymous, user.email, "wrong") == 422
    assert attempt(anonymous, user.email, factories.PASSWORD) == 429
    SignInTries.objects.update(
        expires_at=timezone.now() - timedelta(hours=1)
    )  # as when the window has passed
    assert attempt(anonymous, user.email, factories.PASSWORD) == 302


def test_a_good_sign_in_forgets_earlier_tries(anonymous: Client, user: User) -> None:
    for _ in range(3):
        for _ in range(TRIES_PER_ADDRESS_AND_ACCOUNT - 1):
            attempt(anonymous, user.email, "wrong")
        assert attempt(anonymous, user.email, factories.PASSWORD) == 302


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("/t/x/runs?status=failed", "/t/x/runs?status=failed"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_it_only_leads_to_places_here(
    wanted: str, place: str, anonymous: Client, user: User
) -> None:
    fields = {"email": user.email, "password": factories.PASSWORD, "next": wanted}
    assert anonymous.post("/login", fields)["Location"] == place


def test_signing_out_ends_the_session(member: Client, tenant: Tenant) -> None:
    assert member.get("/logout").status_code == 405
    assert member.post("/logout").status_code == 302
    assert member.get(f"/t/{tenant.slug}/runs").status_code == 302


def test_a_user_without_a_tenant_is_told_so(anonymous: Client, db: None) -> None:
    user = factories.make_user()
    anonymous.force_login(user)
    assert "not a member of any tenant" in anonymous.get("/").content.decode()


def test_the_theme_is_remembered(member: Client, tenant: Tenant) -> None:
    url = f"/t/{tenant.slug}/runs"
    assert 'data-theme="system"' in member.get(url).content.decode()
    assert member.post("/theme", {"theme": "dark", "next": url})["Location"] == url
    assert 'data-theme="dark"' in member.get(url).content.decode()
    member.post("/theme", {"theme": '"><script>', "next": url})
    assert 'data-theme="dark"' in member.get(url).content.decode()
    member.cookies["theme"] = '"><script>'
    assert 'data-theme="system"' in member.get(url).content.decode()


def test_only_ones_own_tenants_are_offered(member: Client, tenant: Tenant, user: User) -> None:
    factories.make_tenant("Hidden Corp")
    text = member.get(f"/t/{tenant.slug}/runs").content.decode()
    assert tenant.name in text
    assert "Hidden Corp" not in text


def test_an_unconfirmed_user_is_told_so_everywhere(
    member: Client, user: User, tenant: Tenant, sign_in: Callable[[User], Client]
) -> None:
    User.objects.filter(id=user.id).update(is_email_verified=False)
    browser = sign_in(user)
    for path in ("/", f"/t/{tenant.slug}/runs", f"/t/{tenant.slug}/runs/live"):
        answer = browser.get(path)
        assert (answer.status_code, "Confirm your e-mail" in answer.content.decode()) == (403, True)
    assert browser.post(f"/t/{tenant.slug}/events/push", {"key": "a"}).status_code == 403
    assert member.get(f"/t/{tenant.slug}/runs").status_code == 200


def test_nothing_of_a_page_is_kept_by_a_browser_or_a_proxy(
    member: Client, anonymous: Client, tenant: Tenant
) -> None:
    for client, path in (
        (member, "/"),
        (member, f"/t/{tenant.slug}/runs"),
        (member, f"/t/{tenant.slug}/runs/live"),
        (member, f"/t/{tenant.slug}/tokens"),
        (member, f"/t/{tenant.slug}/nowhere"),
        (member, "/api/v1/users/current"),
        (anonymous, "/login"),
        (anonymous, f"/t/{tenant.slug}/runs"),
    ):
        kept = client.get(path)["Cache-Control"]
        assert ("no-store" in kept, "private" in kept) == (True, True), path
