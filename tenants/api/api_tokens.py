"""API tokens over REST: people list, create and revoke them; tokens cannot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.shapes import api_token_shape
from tenants.durations import parse_lifetime
from tenants.models import APIToken, Role
from tenants.rest import in_body
from tenants.rest.accepted import takes_body
from tenants.rest.errors import ApiError, bad_request
from tenants.rest.paging import whole
from tenants.rest.views import TenantView
from tenants.tokens import DEFAULT_LIFETIME, create_token, revoke_token


@dataclass(frozen=True, slots=True)
class NewToken:
    name: str = in_body.text("name", longest=200)
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
        text = new.expires_in
        try:
            lifetime = DEFAULT_LIFETIME if text is None else parse_lifetime(text)
            token = create_token(self.tenant, new.name, lifetime)[1]
        except (ValueError, OverflowError) as error:
            raise bad_request(str(error), field="expiresIn") from error
        return Response({"token": token})


class RevokeApiTokenView(TenantView):
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

    def post(self, request: Request, **_: Any) -> Response:
        if self.record.is_internal:
            raise ApiError(403, "internal tokens cannot be revoked")
        revoke_token(self.record.id)
        return Response(status=204)
