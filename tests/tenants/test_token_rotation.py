"""Rotation: a new token at once, and the old one for as long as was said."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection

from tenants.models import APIToken, Tenant, TokenScope
from tenants.token_cache import TokenCache
from tenants.tokens import (
    CannotRotate,
    InvalidToken,
    create_token,
    revoke_token,
    rotate_token,
    verify_token,
)
from tests.cast import Cast
from tests.tenants.test_token_cache import Clock, Listening

HOUR = timedelta(hours=1)


def test_both_are_accepted_while_they_overlap(cast: Cast) -> None:
    old, old_text = create_token(
        cast.tenant, "ci", timedelta(days=30), scope=TokenScope.WORKER_ONLY
    )
    new, new_text = rotate_token(old.id, overlap=HOUR)
    assert (new.name, new.scope, new.tenant) == ("ci", TokenScope.WORKER_ONLY, cast.tenant)
    assert verify_token(new_text).scope is TokenScope.WORKER_ONLY
    until = verify_token(old_text).expires_at
    assert timedelta(minutes=59) < until - datetime.now(UTC) <= HOUR
    old.refresh_from_db()
    assert (old.replaced_by_id, old.expires_at) == (new.id, until)
    lifetime = verify_token(new_text).expires_at - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < lifetime <= timedelta(days=30, seconds=1)


def test_the_old_one_is_refused_when_the_overlap_is_over(cast: Cast) -> None:
    clock = Clock()
    cache = TokenCache(max_age_seconds=1e6, clock=clock)
    old, text = create_token(cast.tenant, "ci")
    rotate_token(old.id, overlap=HOUR)
    cache.verify(text)
    clock.now += 3599 - 60
    assert cache.peek(text) is not None
    clock.now += 61
    assert cache.peek(text) is None


def test_without_an_overlap_it_is_refused_at_once(cast: Cast) -> None:
    old, text = create_token(cast.tenant, "ci")
    rotate_token(old.id, overlap=timedelta(0))
    with pytest.raises(InvalidToken):
        verify_token(text)


def test_an_overlap_lengthens_no_life(cast: Cast) -> None:
    old, text = create_token(cast.tenant, "ci", timedelta(minutes=10))
    rotate_token(old.id, overlap=HOUR)
    assert verify_token(text).expires_at == old.expires_at


def test_a_lifetime_may_be_given(cast: Cast) -> None:
    old, _ = create_token(cast.tenant, "ci")
    new, _ = rotate_token(old.id, overlap=HOUR, expires_in=timedelta(days=2))
    lifetime = new.expires_at - datetime.now(UTC)
    assert timedelta(days=1, hours=23) < lifetime <= timedelta(days=2)


def test_the_old_one_may_still_be_revoked(cast: Cast) -> None:
    old, text = create_token(cast.tenant, "ci")
    _, new_text = rotate_token(old.id, overlap=HOUR)
    assert revoke_token(old.id)
    with pytest.raises(InvalidToken):
        verify_token(text)
    verify_token(new_text)


@pytest.mark.parametrize("what", ["unknown", "rotated", "revoked", "expired", "internal"])
def test_what_is_no_longer_in_use_is_not_rotated(cast: Cast, what: str) -> None:
    lifetime = timedelta(seconds=-1) if what == "expired" else timedelta(days=1)
    record, _ = create_token(cast.tenant, "ci", lifetime, is_internal=what == "internal")
    if what == "rotated":
        rotate_token(record.id, overlap=HOUR)
    if what == "revoked":
        revoke_token(record.id)
    before = list(APIToken.objects.order_by("id").values())
    with pytest.raises(CannotRotate):
        rotate_token(uuid4() if what == "unknown" else record.id, overlap=HOUR)
    assert list(APIToken.objects.order_by("id").values()) == before


@pytest.mark.django_db(transaction=True)
def test_other_processes_are_told() -> None:
    tenant = Tenant.objects.create(name="Told", slug="told")
    record, _ = create_token(tenant, "ci")
    with Listening() as heard:
        rotate_token(record.id, overlap=HOUR)
        assert heard() == str(record.id)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_rotate_it_at_once_one_is_refused() -> None:
    tenant = Tenant.objects.create(name="Twice", slug="twice")
    record, _ = create_token(tenant, "ci")
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def rotate(token_id: UUID) -> None:
        start.wait()
        try:
            rotate_token(token_id, overlap=HOUR)
            outcomes.append("rotated")
        except CannotRotate:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=rotate, args=(record.id,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "rotated"]
    assert APIToken.objects.filter(tenant=tenant).count() == 2
