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
    "SERVER_ENCRYPTION_PAYLOADS": "on",
    "SERVER_ENCRYPTION_AWSKMS_ENABLED": "true",
    "SERVER_ENCRYPTION_AWSKMS_KEY_ID": "alias/hatchet",
    "SERVER_PAYLOAD_STORE_KIND": "directory",
    "SERVER_PAYLOAD_STORE_DIRECTORY": "other",
    "SERVER_PAYLOAD_STORE_THRESHOLD_BYTES": "4096",
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
    "SERVER_AUTH_BASIC_AUTH_ENABLED": "false",
    "SERVER_AUTH_GOOGLE_ENABLED": "true",
    "SERVER_AUTH_GOOGLE_CLIENT_ID": "other",
    "SERVER_AUTH_GOOGLE_CLIENT_SECRET": "other",
    "SERVER_AUTH_GOOGLE_SCOPES": "openid email",
    "SERVER_AUTH_GITHUB_ENABLED": "true",
    "SERVER_AUTH_GITHUB_CLIENT_ID": "other",
    "SERVER_AUTH_GITHUB_CLIENT_SECRET": "other",
    "SERVER_AUTH_GITHUB_SCOPES": "user:email",
    "SERVER_AUTH_OIDC_ENABLED": "true",
    "SERVER_AUTH_OIDC_ISSUER": "https://other.example.com",
    "SERVER_AUTH_OIDC_CLIENT_ID": "other",
    "SERVER_AUTH_OIDC_CLIENT_SECRET": "other",
    "SERVER_AUTH_OIDC_SCOPES": "openid email groups",
    "SERVER_AUTH_OIDC_NAME": "Acme",
    "SERVER_AUTH_OIDC_GROUPS_CLAIM": "roles",
    "SERVER_AUTH_OIDC_GROUP_ROLES": "staff=default:MEMBER",
    "SERVER_EMAIL_KIND": "console",
    "SERVER_EMAIL_SMTP_ENABLED": "true",
    "SERVER_EMAIL_SMTP_SERVER_ADDR": "other.example.com:587",
    "SERVER_EMAIL_SMTP_FROM_EMAIL": "other@example.com",
    "SERVER_EMAIL_SMTP_FROM_NAME": "Other",
    "SERVER_EMAIL_SMTP_SUPPORT_EMAIL": "help@example.com",
    "SERVER_EMAIL_SMTP_AUTH_USERNAME": "other",
    "SERVER_EMAIL_SMTP_AUTH_PASSWORD": "other",
    "SERVER_EMAIL_SMTP_SECURITY": "tls",
    "SERVER_EMAIL_POSTMARK_ENABLED": "true",
    "SERVER_EMAIL_POSTMARK_SERVER_KEY": "other",
    "SERVER_EMAIL_POSTMARK_FROM_EMAIL": "other@example.com",
    "SERVER_EMAIL_POSTMARK_FROM_NAME": "Other",
    "SERVER_EMAIL_POSTMARK_SUPPORT_EMAIL": "help@example.com",
    "SERVER_TENANT_ALERTING_SLACK_ENABLED": "true",
    "SERVER_TENANT_ALERTING_SLACK_CLIENT_ID": "other",
    "SERVER_TENANT_ALERTING_SLACK_CLIENT_SECRET": "other",
    "SERVER_TENANT_ALERTING_SLACK_SCOPES": '["incoming-webhook", "chat:write"]',
    "SERVER_TENANT_ALERTING_SLACK_URL": "https://slack.example.com",
    "SERVER_TENANT_ALERTING_PAGERDUTY_URL": "https://events.eu.pagerduty.com",
    "SERVER_TENANT_ALERTING_SNS_URL": "https://sns.example.com",
    "SERVER_WEBHOOKS_ALLOWED_PRIVATE_NETWORKS": "10.0.0.0/8",
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
    "SERVER_LIMITS_DEFAULT_TENANT_RETENTION_PERIOD": "48h",
    "SERVER_RETENTION_EVENTS": "48h",
    "SERVER_RETENTION_LOGS": "2d",
    "SERVER_RETENTION_TRACES": "2d",
    "SERVER_RETENTION_DELIVERIES": "24h",
    "SERVER_ENABLE_DATA_RETENTION": "false",
    "SERVER_ENABLE_WORKER_RETENTION": "true",
    "SERVER_ENFORCE_LIMITS": "true",
    "SERVER_LIMITS_DEFAULT_TASK_RUN_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_TASK_RUN_ALARM_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_EVENT_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_EVENT_ALARM_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_WORKER_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_WORKER_ALARM_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_WORKER_SLOT_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_WORKER_SLOT_ALARM_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_CRON_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_CRON_ALARM_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_SCHEDULE_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_SCHEDULE_ALARM_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_INCOMING_WEBHOOK_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_INCOMING_WEBHOOK_ALARM_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_API_TOKEN_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_API_TOKEN_ALARM_LIMIT": "1",
    "SERVER_LIMITS_DEFAULT_TASK_RUN_WINDOW": "1h",
    "SERVER_LIMITS_DEFAULT_EVENT_WINDOW": "1h",
    "SERVER_AUDIT_RETENTION_DAYS": "30",
    "SERVER_OBSERVABILITY_ENABLED": "false",
    "SERVER_SAMPLING_ENABLED": "true",
    "SERVER_SAMPLING_RATE": "0.5",
    "SERVER_TRACES_SPANS_PER_RUN": "100",
    "SERVER_TRACES_SPANS_PER_MINUTE": "1000",
    "SERVER_PROMETHEUS_ENABLED": "true",
    "SERVER_PROMETHEUS_ADDRESS": "127.0.0.1:9191",
    "SERVER_PROMETHEUS_PATH": "/custom-metrics",
    "SERVER_LOGGER_LEVEL": "debug",
    "SERVER_LOGGER_FORMAT": "json",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    "SERVER_OTEL_COLLECTOR_URL": "collector:4317",
    "SERVER_OTEL_INSECURE": "true",
    "SERVER_OTEL_COLLECTOR_AUTH": "Bearer other",
    "SERVER_OTEL_SERVICE_NAME": "other",
    "SERVER_OTEL_TRACE_ID_RATIO": "0.1",
    "SERVER_ALERTING_SENTRY_DSN": "https://key@sentry.example.com/1",
    "SERVER_ALERTING_SENTRY_ENABLED": "false",
    "SERVER_ALERTING_SENTRY_ENVIRONMENT": "other",
    "SERVER_ALERTING_SENTRY_SAMPLE_RATE": "0.5",
}
"""A value that differs from the default."""


def provider(name: str) -> dict[str, str]:
    prefix = f"SERVER_AUTH_{name}"
    given = {f"{prefix}_{end}": "given" for end in ("CLIENT_ID", "CLIENT_SECRET")}
    return given | {f"{prefix}_ENABLED": "true"}


OIDC = provider("OIDC") | {"SERVER_AUTH_OIDC_ISSUER": "https://id.example.com"}
SMTP = {
    "SERVER_EMAIL_KIND": "smtp",
    "SERVER_EMAIL_SMTP_SERVER_ADDR": "smtp.example.com:587",
    "SERVER_EMAIL_SMTP_FROM_EMAIL": "hatchet@example.com",
}
SMTP_ACCOUNT = {
    "SERVER_EMAIL_SMTP_AUTH_USERNAME": "given",
    "SERVER_EMAIL_SMTP_AUTH_PASSWORD": "given",
}
POSTMARK = {
    "SERVER_EMAIL_KIND": "postmark",
    "SERVER_EMAIL_POSTMARK_SERVER_KEY": "given",
    "SERVER_EMAIL_POSTMARK_FROM_EMAIL": "hatchet@example.com",
}
SLACK = {
    "SERVER_TENANT_ALERTING_SLACK_ENABLED": "true",
    "SERVER_TENANT_ALERTING_SLACK_CLIENT_ID": "given",
    "SERVER_TENANT_ALERTING_SLACK_CLIENT_SECRET": "given",
}
COLLECTOR = {"SERVER_OTEL_COLLECTOR_URL": "collector.example.com:4317"}
SENTRY = {"SERVER_ALERTING_SENTRY_DSN": "https://key@sentry.example.com/2"}
ENFORCED = {"SERVER_ENFORCE_LIMITS": "true"}
BESIDE: dict[str, dict[str, str]] = {
    **{name: SLACK for name in OTHER if name.startswith("SERVER_TENANT_ALERTING_SLACK_")},
    **{name: PARTS for name in OTHER if name.startswith("DATABASE_POSTGRES_")},
    **{name: OIDC for name in OTHER if name.startswith("SERVER_AUTH_OIDC_")},
    **{name: provider("GOOGLE") for name in OTHER if name.startswith("SERVER_AUTH_GOOGLE_")},
    **{name: provider("GITHUB") for name in OTHER if name.startswith("SERVER_AUTH_GITHUB_")},
    **{name: SMTP for name in OTHER if name.startswith("SERVER_EMAIL_SMTP_")},
    **{name: POSTMARK for name in OTHER if name.startswith("SERVER_EMAIL_POSTMARK_")},
    **{name: COLLECTOR for name in OTHER if name.startswith("SERVER_OTEL_")},
    **{name: SENTRY for name in OTHER if name.startswith("SERVER_ALERTING_SENTRY_")},
    "SERVER_OTEL_COLLECTOR_URL": {},
    "SERVER_ALERTING_SENTRY_DSN": {},
    **dict.fromkeys(SMTP_ACCOUNT, SMTP | SMTP_ACCOUNT),
    "SERVER_AUTH_BASIC_AUTH_ENABLED": OIDC,
    "SERVER_ENCRYPTION_AWSKMS_ENABLED": {"SERVER_ENCRYPTION_AWSKMS_KEY_ID": "alias/hatchet"},
    "SERVER_ENCRYPTION_AWSKMS_KEY_ID": {"SERVER_ENCRYPTION_AWSKMS_ENABLED": "true"},
    "SERVER_PAYLOAD_STORE_DIRECTORY": {"SERVER_PAYLOAD_STORE_KIND": "directory"},
    "SERVER_PAYLOAD_STORE_THRESHOLD_BYTES": {"SERVER_PAYLOAD_STORE_KIND": "directory"},
    "SERVER_SAMPLING_ENABLED": {"SERVER_SAMPLING_RATE": "0.1"},
    "SERVER_SAMPLING_RATE": {"SERVER_SAMPLING_ENABLED": "true"},
    **{name: ENFORCED for name in OTHER if name.startswith("SERVER_LIMITS_DEFAULT_")},
    "SERVER_GRPC_INSECURE": TLS,
    "SERVER_TLS_CERT": {"SERVER_TLS_KEY": KEY},
    "SERVER_TLS_KEY": {"SERVER_TLS_CERT": CERTIFICATE},
    "SERVER_TLS_STRATEGY": TLS | {"SERVER_TLS_ROOT_CA": CERTIFICATE},
    "SERVER_TLS_ROOT_CA": TLS | {"SERVER_TLS_STRATEGY": "mtls"},
}
"""What has to be set with it."""
SWITCHES = {
    "SERVER_AUTH_GOOGLE_ENABLED",
    "SERVER_AUTH_GITHUB_ENABLED",
    "SERVER_AUTH_OIDC_ENABLED",
    "SERVER_EMAIL_SMTP_ENABLED",
    "SERVER_EMAIL_POSTMARK_ENABLED",
    "SERVER_SAMPLING_ENABLED",
    "SERVER_ENCRYPTION_AWSKMS_ENABLED",
    "SERVER_TENANT_ALERTING_SLACK_ENABLED",
}
NEEDED = {
    "SERVER_TLS_CERT",
    "SERVER_TLS_KEY",
    "SERVER_TLS_ROOT_CA",
    "DATABASE_POSTGRES_HOST",
    "SERVER_ENCRYPTION_AWSKMS_KEY_ID",
    *SWITCHES,
}
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
