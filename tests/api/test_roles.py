"""What each role may do in a tenant: every operation of every path."""

from __future__ import annotations

import json

import pytest

from tenants.access import includes
from tenants.models import Role
from tenants.rest.views import TenantView
from tests.api.client import ApiClient
from tests.api.routes import ROUTES
from tests.cast import Cast

NEEDS = {
    "v1-cel:debug": Role.VIEWER,
    "tenant-member:list": Role.ADMIN,
    "tenant-member:update": Role.ADMIN,
    "tenant-member:delete": Role.OWNER,
    "tenant-invite:list": Role.ADMIN,
    "audit-log:list": Role.ADMIN,
    "audit-log:export": Role.ADMIN,
    "audit-log:export-csv": Role.ADMIN,
    "tenant-invite:create": Role.ADMIN,
    "tenant-invite:update": Role.ADMIN,
    "tenant-invite:renew": Role.ADMIN,
    "tenant-invite:delete": Role.ADMIN,
    "tenant:archive": Role.OWNER,
    "tenant:unarchive": Role.OWNER,
    "tenant:delete": Role.OWNER,
    "tenant:leave": Role.VIEWER,
    "retention:update": Role.ADMIN,
    "webhook-endpoint:create": Role.ADMIN,
    "webhook-endpoint:update": Role.ADMIN,
    "webhook-endpoint:delete": Role.ADMIN,
    "webhook-endpoint:rotate-secret": Role.ADMIN,
    "alert-channel:create": Role.ADMIN,
    "alert-channel:update": Role.ADMIN,
    "alert-channel:delete": Role.ADMIN,
    "user:update:slack-oauth-start": Role.MEMBER,
    "api-token:list": Role.ADMIN,
    "api-token:create": Role.ADMIN,
    "api-token:rotate": Role.ADMIN,
    "api-token:update:revoke": Role.ADMIN,
}
"""Besides: viewers may read, and members may do the rest."""
BODIES = {
    "tenant:delete": {"confirm": "acme"},
    "tenant-member:update": {"role": "VIEWER"},
    "tenant-invite:update": {"role": "VIEWER"},
}
"""Where rights are asked for after the body was read."""
LAST = ["tenant:archive", "tenant:leave", "tenant:delete"]
"""Little can be done after them."""
FOR_TOKENS = {"otlp:traces:export"}
"""A session does not say of which tenant its spans are."""
IN_TENANTS = {
    operation.identity: (route, operation.method)
    for route in ROUTES
    for operation in route.operations
    if not operation.is_public
    and issubclass(route.view, TenantView)
    and operation.identity not in FOR_TOKENS
}


def needed(identity: str) -> Role:
    reads = IN_TENANTS[identity][1] == "GET"
    return NEEDS.get(identity, Role.VIEWER if reads else Role.MEMBER)


def test_what_is_named_is_there() -> None:
    assert set(NEEDS) <= set(IN_TENANTS)


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_it_is_for_and_nothing_else(
    role: Role, cast: Cast, resources: dict[str, str]
) -> None:
    def turn(identity: str) -> tuple[bool, int]:
        """First what is refused: it must find everything in its place."""
        return includes(role, needed(identity)), LAST.index(identity) if identity in LAST else -1

    client = ApiClient(user=cast.by_role(role))
    wrong = {}
    for identity in sorted(IN_TENANTS, key=turn):
        route, method = IN_TENANTS[identity]
        body = json.dumps(BODIES.get(identity, {})).encode()
        answer = client.send(method, route.path(resources), body)
        if (answer.status not in (401, 403)) != includes(role, needed(identity)):
            wrong[identity] = (answer.status, answer.content[:200])
    assert wrong == {}
