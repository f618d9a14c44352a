"""Signing in and out, and what the signed-in person belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import authenticate, login
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import sign_in_limits
from tenants.api.shapes import member_shape, user_shape
from tenants.models import Member, User
from tenants.rest import in_body
from tenants.rest.accepted import takes_body
from tenants.rest.errors import ApiError, bad_request
from tenants.rest.paging import whole
from tenants.rest.views import PublicView, UserView
from tenants.sessions import end_session


@dataclass(frozen=True, slots=True)
class SignIn:
    email: str = in_body.text("email")
    password: str = in_body.text("password")


class LoginView(PublicView):
    @takes_body(SignIn)
    def post(self, request: Request, given: SignIn, **_: Any) -> Response:
        email, password = given.email.lower().strip(), given.password
        if not sign_in_limits.may_try(request._request, email):
            raise ApiError(429, "too many attempts; wait five minutes")
        user = authenticate(request._request, username=email, password=password)
        if not isinstance(user, User):
            raise bad_request("wrong e-mail address or password")
        login(request._request, user)
        response = Response(user_shape(user))
        sign_in_limits.welcome(request._request, response, email)
        return response


class LogoutView(UserView):
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
