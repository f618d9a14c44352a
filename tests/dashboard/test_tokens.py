"""API tokens: shown once, listed without their text, revoked for good."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from engine.config import TlsConfig
from tenants.models import APIToken, Tenant
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


def test_internal_tokens_are_neither_listed_nor_revocable(
    owner: Client, url: str, tenant: Tenant
) -> None:
    record, _ = create_token(tenant, "internal-one", is_internal=True)
    assert "internal-one" not in owner.get(url).content.decode()
    assert owner.post(f"{url}/{record.id}/revoke").status_code == 404


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
