"""The sessions of browsers: ending one, and who may still stay of those that came in with one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, logout
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from tenants.access import may_enter
from tenants.models import Member, User

ENDED_CHANNEL = "hatchet_session_ended"
"""Says, without a content, that somebody signed out. Only a hint: whoever lets people stay asks again."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A place in a tenant that was taken with a session and is kept beyond one request."""

    session_key: str
    tenant_id: UUID


def end_session(request: HttpRequest) -> None:
    """Sign out, everywhere at once."""
    logout(request)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [ENDED_CHANNEL])


def users_of_sessions(session_keys: Collection[str]) -> dict[str, User]:
    """Return the users of those sessions that are open: unexpired, and of the user's present password."""
    kept = Session.objects.filter(session_key__in=session_keys, expire_date__gt=timezone.now())
    opened = {row.session_key: row.get_decoded() for row in kept}
    ids = {data[SESSION_KEY] for data in opened.values() if SESSION_KEY in data}
    users = {str(user.id): user for user in User.objects.filter(id__in=ids, is_active=True)}
    return {
        key: users[data[SESSION_KEY]]
        for key, data in opened.items()
        if data.get(SESSION_KEY) in users and _is_of_password(data, users[data[SESSION_KEY]])
    }


def seats_kept(seats: Collection[Seat]) -> set[Seat]:
    """Return the seats whose session is open and whose user is still let into the tenant."""
    users = users_of_sessions({seat.session_key for seat in seats})
    allowed = [user.id for user in users.values() if may_enter(user)]
    tenants = {seat.tenant_id for seat in seats}
    members = set(
        Member.objects.filter(user_id__in=allowed, tenant_id__in=tenants).values_list(
            "user_id", "tenant_id"
        )
    )
    return {
        seat
        for seat in seats
        if seat.session_key in users and (users[seat.session_key].id, seat.tenant_id) in members
    }


def _is_of_password(data: dict[str, str], user: User) -> bool:
    given = data.get(HASH_SESSION_KEY, "")
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(given, one) for one in hashes)
