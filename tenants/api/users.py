"""Signing in and out, and what the signed-in person belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import authenticate, login
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import passwords, sign_in_limits
from tenants.api.refusals import AnswersRefusals
from tenants.api.shapes import member_shape, user_shape
from tenants.installation import installation
from tenants.models import Member, User
from tenants.people.register import Registration, register
from tenants.rest import in_body
from tenants.rest.accepted import takes_body
from tenants.rest.errors import ApiError, bad_request
from tenants.rest.paging import whole
from tenants.rest.views import PublicView, UserView
from tenants.sessions import end_session
from tenants.sign_in import second_factor


@dataclass(frozen=True, slots=True)
class SignIn:
    email: str = in_body.text("email")
    password: str = in_body.text("password")


TOO_MANY = "too many attempts; wait five minutes"
PASSWORD_BACKEND = "django.contrib.auth.backends.ModelBackend"


class LoginView(PublicView):
    limited_methods = ("POST",)

    @takes_body(SignIn)
    def post(self, request: Request, given: SignIn, **_: Any) -> Response:
        email, password = given.email.lower().strip(), given.password
        if not sign_in_limits.may_try(request._request, email):
            raise ApiError(429, TOO_MANY)
        if not installation().sign_in.by_password:
            raise ApiError(405, "signing in by password is switched off on this server")
        user = authenticate(request._request, username=email, password=password)
        if not isinstance(user, User):
            raise bad_request("wrong e-mail address or password")
        if second_factor.is_set_up(user):
            raise bad_request("this account has a second factor: sign in with a browser")
        login(request._request, user)
        response = Response(user_shape(user))
        sign_in_limits.welcome(request._request, response, email)
        return response


@dataclass(frozen=True, slots=True)
class Newcomer:
    """`invite` is the last part of an invite's link: with it, people register where others may not."""

    name: str = in_body.text("name", longest=200)
    email: str = in_body.text("email", longest=254)
    password: str = in_body.text("password", longest=passwords.LONGEST)
    invite: str | None = in_body.optional_text("invite")


class RegisterView(AnswersRefusals, PublicView):
    limited_methods = ("POST",)

    @takes_body(Newcomer)
    def post(self, request: Request, given: Newcomer, **_: Any) -> Response:
        """Make an account and sign in to it."""
        email = given.email.lower().strip()
        if not sign_in_limits.may_register(request._request, email):
            raise ApiError(429, TOO_MANY)
        registration = Registration(
            email=email, name=given.name, password=given.password, link=given.invite or ""
        )
        with self.recorded_changes():
            user = register(registration)
        login(request._request, user, PASSWORD_BACKEND)
        return Response(user_shape(user))


@dataclass(frozen=True, slots=True)
class PasswordChange:
    old: str = in_body.text("password", longest=passwords.LONGEST)
    new: str = in_body.text("newPassword", longest=passwords.LONGEST)


class PasswordView(AnswersRefusals, UserView):
    limited_methods = ("POST",)

    @takes_body(PasswordChange)
    def post(self, request: Request, given: PasswordChange, **_: Any) -> Response:
        """Change one's own password: this session goes on, all others of the person end."""
        if not installation().people.allow_change_password:
            raise bad_request("changing passwords is switched off on this server")
        if not sign_in_limits.may_try(request._request, self.user.email):
            raise ApiError(429, TOO_MANY)
        with self.recorded_changes():
            passwords.change(request._request, self.user, given.old, given.new)
        self.user.refresh_from_db()
        response = Response(user_shape(self.user))
        sign_in_limits.welcome(request._request, response, self.user.email)
        return response


class LogoutView(UserView):
    limited_methods = ("POST",)
    needs_verified_email = False

    def post(self, request: Request, **_: Any) -> Response:
        end_session(request._request)
        return Response(user_shape(self.user))


class CurrentUserView(UserView):
    needs_verified_email = False

    def get(self, request: Request, **_: Any) -> Response:
        return Response(user_shape(self.user))


class MembershipsView(UserView):
    def get(self, request: Request, **_: Any) -> Response:
        members = Member.objects.filter(user=self.user).select_related("tenant", "user")
        rows = [member_shape(member, with_tenant=True) for member in members.order_by("created_at")]
        return Response(whole(rows))
