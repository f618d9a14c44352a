"""What every answer of the web process carries, and the few paths the site itself serves."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/api/live", "/api/ready"])
def test_health_is_an_empty_ok(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/api/live", "/api/ready"])
def test_health_fails_with_the_database(
    client: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def refuse(*_: Any) -> Any:
        raise DatabaseError("gone")

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = client.get(path)
    assert answer.status_code == 500
    assert answer.json()["errors"][0]["description"]


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("temp_file_limit = 0", "takes no data"),
        ("transaction_read_only = on", "read-only"),
    ],
)
def test_a_database_that_takes_no_data_is_not_ready(client: Client, setting: str, why: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL {setting}")
    answer = client.get("/api/ready")
    assert (answer.status_code, client.get("/api/live").status_code) == (500, 200)
    assert why in answer.json()["errors"][0]["description"]


@pytest.mark.parametrize("path", ["/api/ready", "/api/v1/version", "/nowhere"])
def test_a_page_is_confined_to_its_origin(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert "http" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_an_unknown_host_is_refused(client: Client) -> None:
    assert client.get("/api/v1/version", HTTP_HOST="evil.example").status_code == 400


def test_the_api_describes_itself(client: Client) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    paths = answer.json()["paths"]
    assert "/api/v1/stable/tenants/{tenant}/workflow-runs" in paths


def test_models_and_migrations_agree() -> None:
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
