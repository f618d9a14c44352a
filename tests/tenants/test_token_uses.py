"""When a token was used last is known to a minute or two, and costs a call nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from tenants import token_rows
from tenants.models import APIToken, Tenant
from tenants.token_cache import TokenCache
from tenants.tokens import create_token, verify_token
from tests.cast import Cast


def last_use(record: APIToken) -> datetime | None:
    return APIToken.objects.get(id=record.id).last_used_at


def set_last_use(record: APIToken, ago: timedelta) -> datetime:
    moment = datetime.now(UTC) - ago
    APIToken.objects.filter(id=record.id).update(last_used_at=moment)
    return moment


def test_a_first_use_is_noted_at_once(cast: Cast) -> None:
    record, token = create_token(cast.tenant, "ci")
    other, _ = create_token(cast.tenant, "other")
    assert last_use(record) is None
    before = datetime.now(UTC)
    TokenCache().verify(token)
    used = last_use(record)
    assert used is not None
    assert before <= used <= datetime.now(UTC)
    assert last_use(other) is None


def test_the_next_within_a_minute_is_not(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    record, token = create_token(cast.tenant, "ci")
    noted = set_last_use(record, timedelta(seconds=30))
    with django_assert_num_queries(1):
        TokenCache().verify(token)
    assert last_use(record) == noted


def test_one_after_a_minute_is(cast: Cast) -> None:
    record, token = create_token(cast.tenant, "ci")
    noted = set_last_use(record, timedelta(seconds=61))
    TokenCache().verify(token)
    used = last_use(record)
    assert used is not None
    assert used > noted


def test_a_process_that_read_the_row_earlier_writes_nothing_over_another(cast: Cast) -> None:
    record, token = create_token(cast.tenant, "ci")
    row = token_rows.check_row(verify_token(token))
    noted = set_last_use(record, timedelta(seconds=5))
    token_rows.note_use(row)
    assert last_use(record) == noted


def test_calls_with_a_known_token_ask_and_write_nothing(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    cache = TokenCache(max_age_seconds=3600, clock=lambda: 0.0)
    _, token = create_token(cast.tenant, "ci")
    cache.verify(token)
    with django_assert_num_queries(0):
        for _ in range(100):
            assert cache.peek(token) is not None
            cache.verify(token)


def test_a_look_without_a_call_is_no_use(cast: Cast) -> None:
    record, token = create_token(cast.tenant, "ci")
    verify_token(token)
    assert last_use(record) is None


def test_a_database_that_cannot_write_lets_tokens_in(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, token = create_token(cast.tenant, "ci")
    row = token_rows.check_row(verify_token(token))

    class Full:
        def cursor(self) -> None:
            raise DatabaseError("no room on the disk")

    with monkeypatch.context() as patch:
        patch.setattr(token_rows, "connection", Full())
        token_rows.note_use(row)
    assert last_use(record) is None


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_another_who_notes_it() -> None:
    tenant = Tenant.objects.create(name="Busy", slug="busy")
    record, token = create_token(tenant, "ci")
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "UPDATE tenants_apitoken SET last_used_at = now() WHERE id = %s", [record.id]
            )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '1ms'")
            TokenCache().verify(token)
            cursor.execute("SELECT 1")
    finally:
        other.close()
