"""API tokens over REST: people list, create, rotate and revoke them; tokens cannot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.shapes import api_token_shape
from tenants.durations import parse_lifetime, parse_span
from tenants.models import APIToken, Role, TokenScope
from tenants.rest import in_body
from tenants.rest.accepted import takes_body
from tenants.rest.errors import ApiError, bad_request
from tenants.rest.paging import whole
from tenants.rest.render import timestamp
from tenants.rest.views import TenantView
from tenants.tokens import (
    DEFAULT_LIFETIME,
    DEFAULT_OVERLAP,
    LONGEST_OVERLAP,
    CannotRotate,
    create_token,
    revoke_token,
    rotate_token,
)

_SCOPES = {scope.value: scope for scope in TokenScope}


@dataclass(frozen=True, slots=True)
class NewToken:
    name: str = in_body.text("name", longest=200)
    expires_in: str | None = in_body.optional_text("expiresIn")
    scope: TokenScope | None = in_body.choice("scope", _SCOPES, is_required=False)


@dataclass(frozen=True, slots=True)
class Rotation:
    overlap: str | None = in_body.optional_text("overlap")
    expires_in: str | None = in_body.optional_text("expiresIn")


class ApiTokensView(TenantView):
    reading_needs = Role.ADMIN
    writing_needs = Role.ADMIN
    refuses_tokens = True

    def get(self, request: Request, **_: Any) -> Response:
        tokens = APIToken.objects.filter(
            tenant=self.tenant,
            is_internal=False,
            revoked_at__isnull=True,
            expires_at__gt=datetime.now(UTC),
        )
        return Response(whole([api_token_shape(token) for token in tokens.order_by("-created_at")]))

    @takes_body(NewToken)
    def post(self, request: Request, new: NewToken, **_: Any) -> Response:
        lifetime = _lifetime(new.expires_in) or DEFAULT_LIFETIME
        try:
            token = create_token(
                self.tenant, new.name, lifetime, scope=new.scope or TokenScope.FULL
            )[1]
        except OverflowError as error:
            raise bad_request(str(error), field="expiresIn") from error
        return Response({"token": token})


class ApiTokenView(TenantView):
    """An endpoint of one token, which is not one of the server's own."""

    path_ids = ("token",)
    writing_needs = Role.ADMIN
    of_archived = ("POST",)
    refuses_tokens = True
    record: APIToken

    def find_tenant(self) -> UUID:
        record = APIToken.objects.filter(id=self.ids["token"]).first()
        if record is None:
            raise ApiError(404, "there is no such API token")
        self.record = record
        return record.tenant_id

    def check_resource(self) -> None:
        if self.record.is_internal:
            raise ApiError(403, "internal tokens can be neither rotated nor revoked")


class RevokeApiTokenView(ApiTokenView):
    def post(self, request: Request, **_: Any) -> Response:
        revoke_token(self.record.id)
        return Response(status=204)


class RotateApiTokenView(ApiTokenView):
    @takes_body(Rotation)
    def post(self, request: Request, wanted: Rotation, **_: Any) -> Response:
        """Make a token that takes this one's place. Both are accepted until the overlap is over."""
        lifetime, overlap = _lifetime(wanted.expires_in), _overlap(wanted.overlap)
        try:
            token = rotate_token(self.record.id, overlap=overlap, expires_in=lifetime)[1]
        except CannotRotate as error:
            raise ApiError(409, str(error)) from error
        except OverflowError as error:
            raise bad_request(str(error), field="expiresIn") from error
        self.record.refresh_from_db()
        return Response({"token": token, "previousExpiresAt": timestamp(self.record.expires_at)})


def _lifetime(text: str | None) -> timedelta | None:
    try:
        return None if text is None else parse_lifetime(text)
    except ValueError as error:
        raise bad_request(str(error), field="expiresIn") from error


def _overlap(text: str | None) -> timedelta:
    try:
        overlap = DEFAULT_OVERLAP if text is None else parse_span(text)
    except ValueError as error:
        raise bad_request(str(error), field="overlap") from error
    if overlap > LONGEST_OVERLAP:
        raise bad_request(f"overlap must be at most {LONGEST_OVERLAP.days} days", field="overlap")
    return overlap
