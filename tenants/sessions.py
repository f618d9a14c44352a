"""The sessions of browsers: which are open, ending them, and who may still stay of those that came in with one."""

from __future__ import annotations

import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, logout
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from tenants.access import may_enter
from tenants.models import BrowserSession, Member, User

ENDED_CHANNEL = "hatchet_session_ended"
"""Says, without a content, that somebody signed out or was removed. Only a hint: who lets people stay asks."""
SEEN_SECONDS = 300.0
"""A web process writes down that it saw a session at most this often."""
MOST_LISTED = 100
_MOST_REMEMBERED = 10_000
_LONGEST_AGENT = 300

_NOTE = """
INSERT INTO tenants_browsersession AS kept
    (id, user_id, session_key, address, agent, created_at, last_seen_at)
VALUES (%(id)s, %(user_id)s, %(key)s, %(address)s, %(agent)s, now(), now())
ON CONFLICT (session_key) DO UPDATE SET
    user_id = excluded.user_id,
    address = excluded.address,
    agent = excluded.agent,
    last_seen_at = excluded.last_seen_at
"""
# Those that ended without a word: expired, of a deleted person, or replaced in the browser by another.
_SWEEP = """
DELETE FROM tenants_browsersession WHERE id IN (
    SELECT id FROM tenants_browsersession AS noted
    WHERE last_seen_at < now() - interval '1 hour' AND NOT EXISTS (
        SELECT FROM django_session WHERE django_session.session_key = noted.session_key
    )
    ORDER BY last_seen_at LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""

logger = logging.getLogger(__name__)
_seen: OrderedDict[str, float] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Seat:
    """A place in a tenant that was taken with a session and is kept beyond one request."""

    session_key: str
    tenant_id: UUID


def note_sign_in(sender: object, request: HttpRequest, user: User, **_: Any) -> None:
    """Write down where a session begins, whichever way its person signed in."""
    if request.session.session_key is None:
        request.session.save()
    _note(request, user)
    with connection.cursor() as cursor:
        cursor.execute(_SWEEP)


def note_seen(request: HttpRequest, user: User) -> None:
    """Write down that a session is in use, if this process has not done so for a while."""
    key = request.session.session_key
    if key is None or monotonic() - _seen.get(key, float("-inf")) < SEEN_SECONDS:
        return
    try:
        with transaction.atomic():
            _note(request, user)
    except DatabaseError as error:  # pages can be read while nothing can be written
        logger.warning("a session's use was not written down: %s", error)


def open_sessions(user: User) -> list[BrowserSession]:
    """Return where this person is signed in, the one used last first."""
    noted = BrowserSession.objects.filter(user=user).order_by("-last_seen_at")[:MOST_LISTED]
    still_open = users_of_sessions([one.session_key for one in noted])
    return [one for one in noted if one.session_key in still_open]


def end_session(request: HttpRequest) -> None:
    """Sign out, everywhere at once."""
    key = request.session.session_key
    logout(request)
    _end([key] if key else [])


def end_session_of(user: User, session_id: UUID) -> bool:
    """End one of a person's sessions; False when they have no such session."""
    noted = BrowserSession.objects.filter(user=user, id=session_id)
    keys = list(noted.values_list("session_key", flat=True))
    _end(keys)
    return bool(keys)


def end_sessions(user: User, *, but: str | None = None) -> int:
    """End all sessions of a person, but the one with this key; return how many."""
    noted = BrowserSession.objects.filter(user=user).exclude(session_key=but or "")
    keys = list(noted.values_list("session_key", flat=True))
    _end(keys)
    return len(keys)


def tell_that_somebody_left() -> None:
    """Have everybody who lets people stay ask at once who still may, when the transaction commits."""
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


def _end(keys: list[str]) -> None:
    with transaction.atomic():
        Session.objects.filter(session_key__in=keys).delete()
        BrowserSession.objects.filter(session_key__in=keys).delete()
        tell_that_somebody_left()


def _note(request: HttpRequest, user: User) -> None:
    key = str(request.session.session_key)
    agent = request.META.get("HTTP_USER_AGENT", "")[:_LONGEST_AGENT]
    values: dict[str, str | UUID | None] = {
        "id": uuid4(),
        "user_id": user.id,
        "key": key,
        "address": _address(request),
        "agent": "".join(sign for sign in agent if sign.isprintable()),
    }
    _seen[key] = monotonic()
    while len(_seen) > _MOST_REMEMBERED:
        _seen.popitem(last=False)
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, values)


def _address(request: HttpRequest) -> str | None:
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:  # of a socket that has none
        return None


def _is_of_password(data: dict[str, str], user: User) -> bool:
    given = data.get(HASH_SESSION_KEY, "")
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(given, one) for one in hashes)
