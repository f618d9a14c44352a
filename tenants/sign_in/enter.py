"""The last steps of every sign-in: the second factor, if a person has one, and the session."""

from __future__ import annotations

import time
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from tenants import sign_in_limits
from tenants.models import User
from tenants.sign_in import second_factor

PENDING_SECONDS = 600
_BACKEND = "django.contrib.auth.backends.ModelBackend"
_PENDING = "half_signed_in"


@dataclass(frozen=True, slots=True)
class Pending:
    """Who gave the first factor in this session, and where they wanted to go."""

    user: User
    wanted: str


def enter(request: HttpRequest, user: User, wanted: str) -> HttpResponse:
    """Sign in whose password or identity was right, or ask for their second factor first."""
    if not second_factor.is_set_up(user):
        return complete(request, user, wanted)
    request.session[_PENDING] = {
        "user": str(user.id),
        "wanted": wanted,
        "at": int(time.time()),
        "password": user.get_session_auth_hash(),
    }
    return HttpResponseRedirect(reverse("dashboard:second_factor"))


def pending(request: HttpRequest) -> Pending | None:
    """Return who is half signed in: not for long, and not when their password was changed since."""
    kept = request.session.get(_PENDING)
    if kept is None or not 0 <= time.time() - kept["at"] <= PENDING_SECONDS:
        return None
    user = User.objects.filter(id=UUID(kept["user"]), is_active=True).first()
    if user is None or not constant_time_compare(kept["password"], user.get_session_auth_hash()):
        return None
    return Pending(user, kept["wanted"])


def complete(request: HttpRequest, user: User, wanted: str) -> HttpResponse:
    request.session.pop(_PENDING, None)
    login(request, user, backend=_BACKEND)
    response = HttpResponseRedirect(wanted)
    sign_in_limits.welcome(request, response, user.email)
    return response
