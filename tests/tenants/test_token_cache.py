"""The cache saves work and never lets a dead token live longer than promised."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from tenants import token_cache
from tenants.models import APIToken, Tenant, TokenScope
from tenants.token_cache import TokenCache
from tenants.token_claims import TokenClaims
from tenants.token_rows import CheckedRow, check_row
from tenants.tokens import InvalidToken, create_token, revoke_token
from tests.cast import Cast


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_known_token_costs_no_query(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    cache = TokenCache(clock=Clock())
    _, token = create_token(cast.tenant, "ci")
    cache.verify(token)
    with django_assert_num_queries(0):
        assert cache.verify(token).tenant_id == cast.tenant.id


def test_the_row_is_checked_again_after_its_age(cast: Cast) -> None:
    clock = Clock()
    cache = TokenCache(max_age_seconds=0.5, clock=clock)
    record, token = create_token(cast.tenant, "ci")
    cache.verify(token)
    APIToken.objects.filter(id=record.id).update(revoked_at=record.created_at)
    clock.now += 0.6
    assert cache.peek(token) is None
    with pytest.raises(InvalidToken):
        cache.verify(token)


def test_forgetting_makes_the_next_call_ask_the_row(cast: Cast) -> None:
    cache = TokenCache(max_age_seconds=3600, clock=Clock())
    record, token = create_token(cast.tenant, "ci")
    cache.verify(token)
    APIToken.objects.filter(id=record.id).update(revoked_at=record.created_at)
    cache.forget(record.id)
    with pytest.raises(InvalidToken):
        cache.verify(token)


def test_the_row_may_end_a_token_sooner_than_it_says(cast: Cast) -> None:
    clock = Clock()
    cache = TokenCache(max_age_seconds=3600, clock=clock)
    record, token = create_token(cast.tenant, "ci")
    sooner = datetime.now(UTC) + timedelta(seconds=60)
    APIToken.objects.filter(id=record.id).update(expires_at=sooner)
    assert cache.verify(token).expires_at == sooner
    clock.now += 60
    assert cache.peek(token) is None


def test_the_scope_is_the_rows(cast: Cast) -> None:
    _, token = create_token(cast.tenant, "ci", scope=TokenScope.READ_ONLY)
    cache = TokenCache(clock=Clock())
    assert cache.verify(token).scope is TokenScope.READ_ONLY
    known = cache.peek(token)
    assert known is not None
    assert known.scope is TokenScope.READ_ONLY


def test_a_revocation_during_the_check_is_not_cached_over(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = TokenCache(max_age_seconds=3600, clock=Clock())
    record, token = create_token(cast.tenant, "ci")

    def check_and_revoke(claims: TokenClaims) -> CheckedRow:
        row = check_row(claims)
        cache.forget(record.id)
        return row

    monkeypatch.setattr(token_cache, "check_row", check_and_revoke)
    cache.verify(token)
    assert cache.peek(token) is None


def test_a_cached_token_still_expires(cast: Cast) -> None:
    clock = Clock()
    cache = TokenCache(max_age_seconds=3600, clock=clock)
    record, token = create_token(cast.tenant, "ci", timedelta(seconds=60))
    cache.verify(token)
    assert cache.peek(token) is not None
    clock.now += 60
    assert cache.peek(token) is None
    APIToken.objects.filter(id=record.id).update(expires_at=record.created_at)
    with pytest.raises(InvalidToken):
        cache.verify(token)


def test_the_cache_is_bounded(cast: Cast) -> None:
    cache = TokenCache(max_entries=2, clock=Clock())
    tokens = [create_token(cast.tenant, str(n))[1] for n in range(3)]
    for token in tokens:
        cache.verify(token)
    assert [cache.peek(token) is not None for token in tokens] == [False, True, True]


def test_this_process_forgets_a_revoked_token_at_once(
    cast: Cast, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    record, token = create_token(cast.tenant, "ci")
    token_cache.shared.verify(token)
    with django_capture_on_commit_callbacks(execute=True):
        revoke_token(record.id)
    with pytest.raises(InvalidToken):
        token_cache.shared.verify(token)


@pytest.mark.django_db(transaction=True)
def test_other_processes_are_told_within_a_second() -> None:
    tenant = Tenant.objects.create(name="Told", slug="told")
    record, _ = create_token(tenant, "ci")
    with Listening() as heard:
        revoke_token(record.id)
        assert heard() == str(record.id)


class Listening:
    """A second connection that listens, as the other processes do."""

    def __enter__(self) -> Callable[[], str | None]:
        self._connection = connection.copy()
        with self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {token_cache.REVOKED_CHANNEL}")
        return self._next

    def _next(self) -> str | None:
        assert self._connection.connection is not None
        for notice in self._connection.connection.notifies(timeout=1.0, stop_after=1):
            return str(notice.payload)
        return None

    def __exit__(self, *error: object) -> None:
        self._connection.close()
