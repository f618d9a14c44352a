"""What allauth's middleware does in every request, for the few that need it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import SimpleNamespace

from allauth.core import context
from django.http import HttpRequest


def as_allauth_wants(request: HttpRequest) -> AbstractContextManager[None]:
    request.allauth = SimpleNamespace()  # type: ignore[attr-defined]  # made for it
    entered: AbstractContextManager[None] = context.request_context(request)
    return entered
