"""API tokens: shown once, listed without their text, revoked for good."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from engine.config import TlsConfig
from tenants.models import APIToken, Tenant, TokenScope
from tenants.tokens import InvalidToken, create_token, verify_token


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/tokens"


def test_a_new_token_is_shown_once_and_works(owner: Client, url: str, tenant: Tenant) -> None:
    answer = owner.post(url, {"name": "ci <b>", "lifetime": "30"})
    assert "no-store" in answer["Cache-Control"]
    found = re.search(r'id="new-token"[^>]* value="(ey[^"]+)"', answer.content.decode())
    assert found is not None
    token = found.group(1)
    verified = verify_token(token)
    assert verified.tenant_id == tenant.id
    record = APIToken.objects.get(id=verified.token_id)
    assert abs(record.expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    again = owner.get(url).content.decode()
    assert "ey" + token[2:40] not in again
    assert "ci &lt;b&gt;" in again


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "", "lifetime": "30"},
        {"name": "   ", "lifetime": "30"},
        {"name": "x" * 201, "lifetime": "30"},
        {"name": "nul\0", "lifetime": "30"},
        {"name": "x", "lifetime": "36500"},
        {"name": "x", "lifetime": "-1"},
        {"name": "x", "lifetime": "30", "scope": "everything"},
        {"name": "x", "lifetime": "30", "scope": ""},
    ],
)
def test_a_bad_request_makes_no_token(
    fields: dict[str, str], owner: Client, url: str, tenant: Tenant
) -> None:
    answer = owner.post(url, fields)
    assert answer.status_code == 422
    assert "k-error" in answer.content.decode()
    assert not APIToken.objects.filter(tenant=tenant).exists()


def test_revoking_asks_first_and_is_final(owner: Client, url: str, tenant: Tenant) -> None:
    record, token = create_token(tenant, "ci")
    path = f"{url}/{record.id}/revoke"
    assert "cannot be undone" in owner.get(path).content.decode()
    assert verify_token(token).token_id == record.id
    answer = owner.post(path, follow=True)
    assert "is revoked" in answer.content.decode()
    with pytest.raises(InvalidToken):
        verify_token(token)
    assert owner.post(path).status_code == 404
    assert str(record.id) not in owner.get(url).content.decode()


def shown_token(answer: Any) -> str:
    found = re.search(r'id="new-token"[^>]* value="(ey[^"]+)"', answer.content.decode())
    assert found is not None
    return found.group(1)


def test_a_token_has_the_scope_that_was_chosen(owner: Client, url: str) -> None:
    answer = owner.post(url, {"name": "ci", "lifetime": "30", "scope": "worker-only"})
    assert verify_token(shown_token(answer)).scope is TokenScope.WORKER_ONLY
    assert "Worker only</td>" in owner.get(url).content.decode()


def test_the_list_says_when_a_token_was_used(owner: Client, url: str, tenant: Tenant) -> None:
    record, _ = create_token(tenant, "ci")
    assert "never" in owner.get(url).content.decode()
    used = datetime.now(UTC) - timedelta(hours=1)
    APIToken.objects.filter(id=record.id).update(last_used_at=used)
    page = owner.get(url).content.decode()
    assert "never" not in page
    assert used.isoformat() in page


def test_rotating_asks_first_and_shows_the_new_token_once(
    owner: Client, url: str, tenant: Tenant
) -> None:
    record, old = create_token(tenant, "ci", scope=TokenScope.READ_ONLY)
    path = f"{url}/{record.id}/rotate"
    assert "Both are accepted for" in owner.get(path).content.decode()
    answer = owner.post(path, {"overlap": "1"})
    assert "no-store" in answer["Cache-Control"]
    assert "The old one is accepted until" in answer.content.decode()
    new = shown_token(answer)
    assert verify_token(new).scope is TokenScope.READ_ONLY
    assert verify_token(old).expires_at - datetime.now(UTC) <= timedelta(hours=1)
    page = owner.get(url).content.decode()
    assert new not in page
    assert "Replaced by" in page
    assert path not in page
    again = owner.post(path, {"overlap": "1"})
    assert (again.status_code, "rotated already" in again.content.decode()) == (422, True)


def test_a_rotation_may_end_the_old_token_at_once(owner: Client, url: str, tenant: Tenant) -> None:
    record, old = create_token(tenant, "ci")
    answer = owner.post(f"{url}/{record.id}/rotate", {"overlap": "0"})
    assert "The old one is refused from now on" in answer.content.decode()
    verify_token(shown_token(answer))
    with pytest.raises(InvalidToken):
        verify_token(old)


@pytest.mark.parametrize("overlap", ["", "2", "-1", "1e3", "nul\0", "9" * 1000])
def test_an_overlap_that_is_not_offered_changes_nothing(
    overlap: str, owner: Client, url: str, tenant: Tenant
) -> None:
    record, _ = create_token(tenant, "ci")
    assert owner.post(f"{url}/{record.id}/rotate", {"overlap": overlap}).status_code == 422
    assert APIToken.objects.filter(tenant=tenant).count() == 1


def test_internal_tokens_are_neither_listed_nor_revocable(
    owner: Client, url: str, tenant: Tenant
) -> None:
    record, _ = create_token(tenant, "internal-one", is_internal=True)
    assert "internal-one" not in owner.get(url).content.decode()
    assert owner.post(f"{url}/{record.id}/revoke").status_code == 404
    assert owner.post(f"{url}/{record.id}/rotate").status_code == 404


TLS = TlsConfig(certificate="c", private_key="k", client_ca=None)


@pytest.mark.parametrize(("tls", "strategy"), [(None, "none"), (TLS, "tls")])
def test_the_commands_shown_fit_the_server(
    tls: TlsConfig | None, strategy: str, owner: Client, url: str, settings: Any
) -> None:
    settings.HATCHET = replace(settings.HATCHET, grpc_tls=tls)
    words = f"HATCHET_CLIENT_TLS_STRATEGY={strategy}"
    assert words in owner.post(url, {"name": "ci", "lifetime": "30"}).content.decode()
    assert words in owner.get(url.replace("tokens", "workers")).content.decode()
    assert words in owner.get(url.replace("tokens", "runs")).content.decode()
