"""What every endpoint shares: who is asking, which tenant is meant, and how answers look.

The order of evaluation is: ids in the path (400), credentials (403), the resource and its tenant
(404), rights (401 or 403), then parameters and body (400, 415).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants import sign_in_limits, token_cache
from tenants.access import (
    UNCONFIRMED,
    AccessDenied,
    TenantAccess,
    access_of_token,
    access_of_user,
    may_enter,
)
from tenants.audit.actors import Actor, actor_of_request
from tenants.audit.declared import Acts, Changes
from tenants.audit.recording import Acting, answer_audited, recorded_changes
from tenants.buckets import Buckets
from tenants.log_fields import serve_tenant
from tenants.models import Role, Tenant, User
from tenants.rest.conditional import leave_out_what_is_known
from tenants.rest.cors import add_cors_headers, refuse_foreign_pages
from tenants.rest.errors import ApiError, handle_exception
from tenants.rest.params import Body, Query, parse_uuid
from tenants.rest.render import JsonParser, JsonRenderer
from tenants.rest.schema import ApiSchema, Operation
from tenants.row_by_id import RowById
from tenants.sessions import note_seen
from tenants.token_claims import InvalidToken, VerifiedToken
from tenants.token_scopes import ONLY_FULL, refusal, scopes_of_operation

NO_CREDENTIALS = "sign in, or send a valid API token"
NOT_YET = "this server does not offer that yet"
ARCHIVED = "this tenant is archived: nothing in it can be changed"
TOO_OFTEN = "too many requests; wait a second"

_tenants = RowById(Tenant.objects.all)
asked: Buckets[tuple[str, str, str]] = Buckets(10.0, 10.0)
"""Of the endpoints that have a limit: what of this process one address has asked lately."""


class PublicView(APIView):
    """An endpoint anybody may call, and the base of all the others."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = (JsonParser,)
    renderer_classes = (JsonRenderer,)
    schema = ApiSchema()
    operations: tuple[Operation, ...] = ()
    limited_methods: ClassVar[tuple[str, ...]] = ()
    """Methods that one address may ask for ten times a second."""
    acting: Acting
    """Of an operation that declares `Acts`."""

    def get_exception_handler(self) -> Any:
        return handle_exception

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        """Answer JSON whatever the Accept header says: clients send all kinds of it."""
        renderer = JsonRenderer()
        return renderer, renderer.media_type

    def perform_authentication(self, request: Request) -> None:
        """Leave the session's user in place: the framework would replace it with nobody."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        refuse_foreign_pages(request._request)
        if request.method in self.limited_methods:
            address = sign_in_limits.address_of(request._request)
            if not asked.take((type(self).__name__, request.method, address)):
                raise ApiError(429, TOO_OFTEN)
        self._audit(str(request.method))

    def _audit(self, method: str) -> None:
        """Put what writes the audit log around the handler that is about to be called."""
        declared = next((one.audits for one in self.operations if one.method == method), None)
        handler: Callable[..., Response] | None = getattr(self, method.lower(), None)
        if handler is not None and isinstance(declared, Changes | Acts):
            setattr(self, method.lower(), partial(self._answer_audited, declared, handler))

    def _answer_audited(
        self,
        declared: Changes | Acts,
        handler: Callable[..., Response],
        *args: Any,
        **kwargs: Any,
    ) -> Response:
        def answer(acting: Acting | None) -> Response:
            if acting is not None:
                self.acting = acting
            return handler(*args, **kwargs)

        return answer_audited(
            declared, self.actor, self.audited_tenant, self.audited_resource, answer
        )

    def recorded_changes(self) -> AbstractContextManager[None]:
        """One of the parts of an operation that declares `Changes(in_parts=True)`."""
        [declared] = [one.audits for one in self.operations if one.method == self.request.method]
        assert isinstance(declared, Changes)
        return recorded_changes(declared, self.actor(), self.audited_tenant)

    def actor(self) -> Actor:
        request = self.request._request
        user = session_user(request)
        if user is None:
            return actor_of_request(request, user_id=None, email="")
        return actor_of_request(request, user_id=user.id, email=user.email)

    @property
    def audited_tenant(self) -> UUID | None:
        return None

    @property
    def audited_resource(self) -> str:
        return ""

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        return Response(None)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if answer.status_code == 204:
            answer.headers.pop("Content-Type", None)
        add_cors_headers(request, answer)
        if request.method in ("GET", "HEAD") and answer.status_code == 200:
            leave_out_what_is_known(request, answer)
        return answer

    @property
    def query(self) -> Query:
        return Query(self.request.query_params)

    @property
    def body(self) -> Body:
        inner = self.request._request
        if not inner.META.get("CONTENT_LENGTH"):
            # A chunked body has no length, and what has none counts as empty.
            inner.META["CONTENT_LENGTH"] = str(len(inner.body))
        return Body(self.request.data)


def bearer_token(request: HttpRequest) -> VerifiedToken | None:
    """Return the request's API token, None without an Authorization header; a bad one is refused."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise InvalidToken("the scheme is not Bearer")
        return token_cache.shared.verify(token.strip())
    except InvalidToken as error:
        raise ApiError(403, NO_CREDENTIALS) from error


def session_user(request: HttpRequest) -> User | None:
    user: User | AnonymousUser = request.user
    if not isinstance(user, User):
        return None
    note_seen(request, user)
    return user


class UserView(PublicView):
    """An endpoint of the person who is signed in; tokens cannot use it."""

    user: User
    needs_verified_email: ClassVar[bool] = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        user = session_user(request._request)
        if bearer_token(request._request) is not None or user is None:
            raise ApiError(403, NO_CREDENTIALS)
        if self.needs_verified_email and not may_enter(user):
            raise ApiError(401, UNCONFIRMED)
        self.user = user


class TenantView(PublicView):
    """An endpoint inside a tenant: named in the path, or that of the resource in the path."""

    access: TenantAccess
    token: VerifiedToken | None
    ids: dict[str, UUID]
    path_ids: ClassVar[tuple[str, ...]] = ("tenant",)
    reading_needs: ClassVar[Role] = Role.VIEWER
    writing_needs: ClassVar[Role] = Role.MEMBER
    refuses_tokens: ClassVar[bool] = False
    of_archived: ClassVar[tuple[str, ...]] = ()
    """Methods that change an archived tenant, too."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        self.ids = {name: parse_uuid(kwargs[name], name) for name in self.path_ids}
        token = bearer_token(request._request)
        user = session_user(request._request) if token is None else None
        if token is None and user is None:
            raise ApiError(403, NO_CREDENTIALS)
        if token is not None and self.refuses_tokens:
            raise ApiError(401, "an API token cannot do this; sign in instead")
        self.token = token
        tenant = self._tenant()
        is_reading = request.method in ("GET", "HEAD")
        if token is not None:
            self.access = _enter_with_token(token, tenant)
            self._check_scope(token)
        elif user is not None:
            needed = self.reading_needs if is_reading else self.writing_needs
            self.access = access_of_user(user, tenant, needed)
        is_resting = tenant.archived_at is not None and not is_reading
        if is_resting and request.method not in self.of_archived:
            raise ApiError(409, ARCHIVED)
        serve_tenant(tenant.id)
        self.check_resource()

    def find_tenant(self) -> UUID:
        """Return the tenant the request is about; raise a 404 for an unknown resource."""
        return self.ids["tenant"]

    def check_resource(self) -> None:
        """Find what the path names inside `tenant`, where `find_tenant` has not done so."""

    @property
    def tenant(self) -> Tenant:
        return self.access.tenant

    def actor(self) -> Actor:
        user, request = self.access.user, self.request._request
        if user is None:
            token_id = self.access.token_id
            return actor_of_request(request, user_id=None, email="", token_id=token_id)
        return actor_of_request(request, user_id=user.id, email=user.email)

    @property
    def audited_tenant(self) -> UUID | None:
        return self.tenant.id

    @property
    def audited_resource(self) -> str:
        """The last id in the path, if any but the tenant's is there."""
        name = self.path_ids[-1]
        return "" if name == "tenant" else str(self.ids[name])

    def _check_scope(self, token: VerifiedToken) -> None:
        method = "GET" if self.request.method == "HEAD" else self.request.method
        operation = next((one for one in self.operations if one.method == method), None)
        allowed = ONLY_FULL if operation is None else scopes_of_operation(operation.identity)
        if token.scope not in allowed:
            what = f"{method} {self.request.path}" if operation is None else operation.identity
            raise ApiError(403, refusal(token.scope, what))

    def _tenant(self) -> Tenant:
        tenant = _tenants.find(self.find_tenant())
        if tenant is None:
            raise ApiError(404, "there is no such tenant")
        return tenant


def _enter_with_token(token: VerifiedToken, tenant: Tenant) -> TenantAccess:
    try:
        return access_of_token(token, tenant)
    except AccessDenied as error:
        raise ApiError(403, str(error)) from error


class UnknownPathView(PublicView):
    """Everything below /api that nothing else answers."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "OPTIONS":
            raise ApiError(404, f"nothing answers to {request.path}")
