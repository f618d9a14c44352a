"""Roles include each other; strangers and foreign tokens stay outside."""

from __future__ import annotations

import pytest

from tenants.access import AccessDenied, access_of_token, access_of_user, includes
from tenants.models import Member, Role
from tenants.tokens import create_token, verify_token
from tests.cast import Cast

ORDER = [Role.VIEWER, Role.MEMBER, Role.ADMIN, Role.OWNER]


@pytest.mark.parametrize("held", ORDER)
@pytest.mark.parametrize("needed", ORDER)
def test_a_role_includes_those_below_it(held: Role, needed: Role) -> None:
    assert includes(held, needed) is (ORDER.index(held) >= ORDER.index(needed))


@pytest.mark.parametrize("role", ORDER)
def test_a_member_enters_with_their_role(cast: Cast, role: Role) -> None:
    access = access_of_user(cast.by_role(role), cast.tenant)
    assert (access.role, access.tenant, access.can_view_payloads) == (role, cast.tenant, True)


def test_a_stranger_stays_outside(cast: Cast) -> None:
    with pytest.raises(AccessDenied) as denied:
        access_of_user(cast.stranger, cast.tenant)
    assert denied.value.is_stranger


def test_a_disabled_user_stays_outside(cast: Cast) -> None:
    cast.owner.is_active = False
    with pytest.raises(AccessDenied):
        access_of_user(cast.owner, cast.tenant)


def test_too_low_a_role_is_told_which_one_is_needed(cast: Cast) -> None:
    with pytest.raises(AccessDenied, match="ADMIN") as denied:
        access_of_user(cast.member, cast.tenant, Role.ADMIN)
    assert not denied.value.is_stranger


@pytest.mark.parametrize(
    ("role", "sees"), [(Role.VIEWER, False), (Role.MEMBER, False), (Role.ADMIN, True)]
)
def test_payloads_can_be_hidden_from_members_but_not_from_admins(
    cast: Cast, role: Role, sees: bool
) -> None:
    user = cast.by_role(role)
    Member.objects.filter(user=user).update(can_view_payloads=False)
    assert access_of_user(user, cast.tenant).can_view_payloads is sees


def test_a_token_is_admin_of_its_own_tenant_only(cast: Cast) -> None:
    _, token = create_token(cast.tenant, "ci")
    verified = verify_token(token)
    assert access_of_token(verified, cast.tenant).role == Role.ADMIN
    with pytest.raises(AccessDenied):
        access_of_token(verified, cast.other_tenant)
