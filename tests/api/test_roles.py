"""What each role may do in a tenant: every operation of every path."""

from __future__ import annotations

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
    "tenant-invite:list": Role.ADMIN,
    "api-token:list": Role.ADMIN,
    "api-token:create": Role.ADMIN,
    "api-token:rotate": Role.ADMIN,
    "api-token:update:revoke": Role.ADMIN,
}
"""Besides: viewers may read, and members may do the rest."""
IN_TENANTS = {
    operation.identity: (route, operation.method)
    for route in ROUTES
    for operation in route.operations
    if not operation.is_public and issubclass(route.view, TenantView)
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
    client = ApiClient(user=cast.by_role(role))
    wrong = {}
    # First what is refused: it must find everything in its place.
    for identity in sorted(IN_TENANTS, key=lambda identity: includes(role, needed(identity))):
        route, method = IN_TENANTS[identity]
        answer = client.send(method, route.path(resources), b"{}")
        if includes(role, needed(identity)):
            is_right = answer.status not in (401, 403)
        else:
            sentence = f"this needs the role {needed(identity).value}"
            is_right = (answer.status, answer.error) == (401, sentence)
        if not is_right:
            wrong[identity] = (answer.status, answer.content[:200])
    assert wrong == {}
