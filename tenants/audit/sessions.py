"""Who signs in and out, and who tries to, told by Django's own signals, so that no way of doing it can be forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

from tenants.audit.actors import actor_of_request
from tenants.audit.declared import Acts
from tenants.audit.recording import record

SIGN_IN = Acts("user.sign_in")
SIGN_OUT = Acts("user.sign_out")
SIGN_IN_FAILED = Acts("user.sign_in_failed")


def listen() -> None:
    user_logged_in.connect(_signed_in, dispatch_uid="audit.sign_in")
    user_logged_out.connect(_signed_out, dispatch_uid="audit.sign_out")
    user_login_failed.connect(_failed, dispatch_uid="audit.sign_in_failed")


def _signed_in(request: HttpRequest, user: AbstractBaseUser, **_: Any) -> None:
    _tell(SIGN_IN, request, user)


def _signed_out(request: HttpRequest, user: AbstractBaseUser | None, **_: Any) -> None:
    if user is not None and user.is_authenticated:
        _tell(SIGN_OUT, request, user)


def code_was_wrong(request: HttpRequest, email: str) -> None:
    """Tell of a second factor that was wrong; Django's own `authenticate` tells of passwords."""
    user_login_failed.send(__name__, credentials={"username": email}, request=request)


def _failed(credentials: Mapping[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """It says what was typed for an address, and not whether there is such an account."""
    if request is not None:
        actor = actor_of_request(request, user_id=None, email="")
        record(SIGN_IN_FAILED, actor, None, resource_name=str(credentials.get("username", "")))


def _tell(what: Acts, request: HttpRequest, user: AbstractBaseUser) -> None:
    email = user.get_username()
    actor = actor_of_request(request, user_id=user.pk, email=email)
    record(what, actor, None, resource_id=str(user.pk), resource_name=email)
