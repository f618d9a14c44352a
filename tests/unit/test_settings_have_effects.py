"""Every variable that the README names changes the configuration, and all of the configuration is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from engine.config import Config
from engine.pem import new_signing_key
from tests.rpc.certificates import Authority

ROOT = Path(__file__).resolve().parents[2]
TABLE = re.compile(r"## Configuration\n.*?\n(\| Variable.*?)\n\n", re.DOTALL)
CERTIFICATE, KEY = Authority().issue("engine")
TLS = {"SERVER_TLS_CERT": CERTIFICATE, "SERVER_TLS_KEY": KEY}
PARTS = {"DATABASE_POSTGRES_HOST": "db.example"}

OTHER: dict[str, str] = {
    "DATABASE_URL": "postgresql://user:password@db.example/work",
    "DATABASE_POSTGRES_HOST": "db.example",
    "DATABASE_POSTGRES_PORT": "5433",
    "DATABASE_POSTGRES_USERNAME": "other",
    "DATABASE_POSTGRES_PASSWORD": "other",
    "DATABASE_POSTGRES_DB_NAME": "other",
    "DATABASE_POSTGRES_SSL_MODE": "require",
    "HATCHET_DATA_DIR": "other",
    "SERVER_URL": "https://hatchet.example.com",
    "SERVER_PORT": "9000",
    "SERVER_BIND_ADDRESS": "127.0.0.2",
    "SERVER_WEB_PROCESSES": "2",
    "SERVER_ALLOWED_HOSTS": "other.example.com",
    "SERVER_ALLOWED_ORIGINS": "https://*.example.com",
    "SERVER_TRUSTED_PROXIES": "10.0.0.0/8",
    "SERVER_GRPC_PORT": "9001",
    "SERVER_GRPC_BIND_ADDRESS": "127.0.0.2",
    "SERVER_GRPC_BROADCAST_ADDRESS": "engine.example.com:7070",
    "SERVER_GRPC_MAX_MSG_SIZE": "2000000",
    "SERVER_GRPC_FRONT": "native",
    "SERVER_GRPC_INSECURE": "true",
    "SERVER_TLS_CERT": CERTIFICATE,
    "SERVER_TLS_KEY": KEY,
    "SERVER_TLS_STRATEGY": "mtls",
    "SERVER_TLS_ROOT_CA": CERTIFICATE,
    "SERVER_AUTH_COOKIE_NAME": "other",
    "SERVER_AUTH_COOKIE_DOMAIN": "example.com",
    "SERVER_AUTH_COOKIE_INSECURE": "false",
    "SERVER_AUTH_COOKIE_SECRETS": "0123456789abcdef",
    "SERVER_ENCRYPTION_MASTER_KEYSET": "fedcba9876543210fedcba9876543210",
    "SERVER_ENCRYPTION_JWT_PRIVATE_KEYSET": new_signing_key(),
    "SERVER_ALLOW_SIGNUP": "true",
    "SERVER_ALLOW_INVITES": "false",
    "SERVER_MAX_PENDING_INVITES": "7",
    "SERVER_ALLOW_CREATE_TENANT": "false",
    "SERVER_ALLOW_CHANGE_PASSWORD": "false",
    "SERVER_AUTH_SET_EMAIL_VERIFIED": "true",
    "SERVER_AUTH_RESTRICTED_EMAIL_DOMAINS": "example.com",
    "ADMIN_EMAIL": "other@example.com",
    "ADMIN_NAME": "Other",
    "ADMIN_PASSWORD": "Other-password-1",
    "DEFAULT_TENANT_NAME": "Other",
    "DEFAULT_TENANT_SLUG": "other",
    "DEFAULT_TENANT_ID": "707d0855-80ab-4e1f-a156-f1c4546cbf52",
    "SERVER_LOGGER_LEVEL": "debug",
    "SERVER_LOGGER_FORMAT": "json",
}
"""A value that differs from the default."""

BESIDE: dict[str, dict[str, str]] = {
    **{name: PARTS for name in OTHER if name.startswith("DATABASE_POSTGRES_")},
    "SERVER_GRPC_INSECURE": TLS,
    "SERVER_TLS_CERT": {"SERVER_TLS_KEY": KEY},
    "SERVER_TLS_KEY": {"SERVER_TLS_CERT": CERTIFICATE},
    "SERVER_TLS_STRATEGY": TLS | {"SERVER_TLS_ROOT_CA": CERTIFICATE},
    "SERVER_TLS_ROOT_CA": TLS | {"SERVER_TLS_STRATEGY": "mtls"},
}
"""What has to be set with it."""
NEEDED = {"SERVER_TLS_CERT", "SERVER_TLS_KEY", "SERVER_TLS_ROOT_CA", "DATABASE_POSTGRES_HOST"}
"""Without these the others beside them cannot be, or say nothing."""


def documented() -> Iterator[str]:
    table = TABLE.search((ROOT / "README.md").read_text())
    assert table
    for row in table[1].splitlines()[2:]:
        first, *rest = re.findall(r"`([A-Z_]+)`", row.split("|")[1])
        yield first
        for name in rest:
            if not name.startswith("_"):
                yield name
            elif first.startswith("DATABASE_POSTGRES"):
                yield f"DATABASE_POSTGRES{name}"
            else:
                yield f"DEFAULT_TENANT{name}"
        # Named in the middle of the text about another one.
        yield from re.findall(r"`(SERVER_TLS_ROOT_CA)`", row)


@pytest.fixture(autouse=True)
def shared_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("engine.postgres.SHARED_STATE", tmp_path / "state")


def test_every_documented_variable_is_tried() -> None:
    assert set(documented()) <= set(OTHER)


@pytest.mark.parametrize("name", OTHER)
def test_a_variable_changes_the_configuration(name: str, tmp_path: Path) -> None:
    beside = {"HATCHET_DATA_DIR": str(tmp_path / "data")} | BESIDE.get(name, {})
    value = str(tmp_path / OTHER[name]) if name == "HATCHET_DATA_DIR" else OTHER[name]
    changed = Config.from_environment(beside | {name: value}, tmp_path)
    if name in NEEDED:
        beside = {"HATCHET_DATA_DIR": beside["HATCHET_DATA_DIR"]}
    assert changed != Config.from_environment(beside, tmp_path)


@pytest.mark.parametrize("name", [field.name for field in fields(Config)])
def test_every_part_of_the_configuration_is_used(name: str) -> None:
    sources = [
        path
        for package in ("dashboard", "engine", "hatchet_site", "tenants", "webhooks")
        for path in (ROOT / package).rglob("*.py")
        if path.name not in {"config.py", "installation.py"}
    ]
    use = re.compile(rf"\b(HATCHET|config|self\._config|here|installation\(\))\.{name}\b")
    assert any(use.search(path.read_text()) for path in sources)
