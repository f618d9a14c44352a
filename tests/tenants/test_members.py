"""Roles are changed by whoever may, and a tenant always keeps an owner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction

from tenants.access import AccessDenied, access_of_user
from tenants.models import Member, Role, Tenant, User
from tenants.people.members import leave_tenant, remove_member, update_member
from tenants.people.refusals import Forbidden, Refused, Unknown
from tests.cast import Cast, make_user
from tests.tenants.people import acting, newcomer

OTHERS = [Role.OWNER, Role.ADMIN, Role.MEMBER, Role.VIEWER]


def member_of(cast: Cast, user: User) -> Member:
    return Member.objects.get(tenant=cast.tenant, user=user)


@pytest.mark.parametrize("actor", OTHERS)
@pytest.mark.parametrize("before", OTHERS)
@pytest.mark.parametrize("after", OTHERS)
def test_who_may_make_what_of_whom(cast: Cast, actor: Role, before: Role, after: Role) -> None:
    somebody = Member.objects.create(
        tenant=cast.tenant, user=make_user("some@acme.test"), role=before
    )
    is_of_owners = Role.OWNER in (before, after)
    may = actor == Role.OWNER or (actor == Role.ADMIN and not is_of_owners)
    access = acting(cast.by_role(actor), cast.tenant)
    if may:
        update_member(access, somebody.id, role=after)
    else:
        with pytest.raises(Refused) as refused:
            update_member(access, somebody.id, role=after)
        assert isinstance(refused.value, Forbidden) is (actor not in (Role.OWNER, Role.ADMIN))
    somebody.refresh_from_db()
    assert somebody.role == (after if may else before)


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN])
def test_nobody_changes_their_own_role(cast: Cast, role: Role) -> None:
    user = cast.by_role(role)
    with pytest.raises(Refused, match="their own role"):
        update_member(acting(user, cast.tenant), member_of(cast, user).id, role=Role.VIEWER)
    assert member_of(cast, user).role == role


def test_the_right_to_payloads_stays_unless_it_is_said(cast: Cast) -> None:
    access, viewer = acting(cast.admin, cast.tenant), member_of(cast, cast.viewer)
    update_member(access, viewer.id, role=Role.VIEWER, can_view_payloads=False)
    assert not update_member(access, viewer.id, role=Role.MEMBER).can_view_payloads
    assert update_member(
        access, viewer.id, role=Role.MEMBER, can_view_payloads=True
    ).can_view_payloads


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER])
def test_only_an_owner_removes_others(cast: Cast, role: Role) -> None:
    somebody = member_of(cast, cast.viewer if role != Role.VIEWER else cast.member)
    with pytest.raises(Forbidden, match="OWNER"):
        remove_member(acting(cast.by_role(role), cast.tenant), somebody.id)
    assert Member.objects.filter(id=somebody.id).exists()
    remove_member(acting(cast.owner, cast.tenant), somebody.id)
    with pytest.raises(AccessDenied):
        access_of_user(somebody.user, cast.tenant)


def test_an_owner_does_not_remove_themselves(cast: Cast) -> None:
    with pytest.raises(Forbidden, match="themselves"):
        remove_member(acting(cast.owner, cast.tenant), member_of(cast, cast.owner).id)


def test_members_of_another_tenant_are_not_there(cast: Cast) -> None:
    theirs = Member.objects.get(user=cast.stranger).id
    access = acting(cast.owner, cast.tenant)
    for member_id in (theirs, uuid4()):
        with pytest.raises(Unknown):
            update_member(access, member_id, role=Role.VIEWER)
        with pytest.raises(Unknown):
            remove_member(access, member_id)
    assert Member.objects.get(id=theirs).role == Role.OWNER


def test_everybody_leaves_but_the_last_owner(cast: Cast) -> None:
    for user in (cast.viewer, cast.member, cast.admin):
        leave_tenant(acting(user, cast.tenant))
    owner = acting(cast.owner, cast.tenant)
    with pytest.raises(Refused, match="last owner"):
        leave_tenant(owner)
    second = Member.objects.create(
        tenant=cast.tenant, user=make_user("second@acme.test"), role=Role.OWNER
    )
    User.objects.filter(id=second.user_id).update(is_active=False)
    with pytest.raises(Refused, match="last owner"):
        leave_tenant(owner)
    User.objects.filter(id=second.user_id).update(is_active=True)
    leave_tenant(owner)
    assert [one.user_id for one in Member.objects.filter(tenant=cast.tenant)] == [second.user_id]


def test_a_right_that_is_gone_meanwhile_counts_as_gone(cast: Cast) -> None:
    """What the page was opened with is not what counts."""
    access = acting(cast.owner, cast.tenant)
    Member.objects.filter(user=cast.owner).update(role=Role.VIEWER)
    with pytest.raises(Forbidden):
        update_member(access, member_of(cast, cast.viewer).id, role=Role.ADMIN)
    Member.objects.filter(user=cast.owner).delete()
    with pytest.raises(Forbidden):
        remove_member(access, member_of(cast, cast.viewer).id)


def demote(owner: User, tenant: Tenant, other: User) -> None:
    member = Member.objects.get(tenant=tenant, user=other)
    update_member(access_of_user(owner, tenant), member.id, role=Role.VIEWER)


def remove(owner: User, tenant: Tenant, other: User) -> None:
    remove_member(access_of_user(owner, tenant), Member.objects.get(tenant=tenant, user=other).id)


def leave(owner: User, tenant: Tenant, _other: User) -> None:
    leave_tenant(access_of_user(owner, tenant))


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize("act", [demote, remove, leave])
def test_two_owners_at_once_leave_one(act: Callable[[User, Tenant, User], None]) -> None:
    """Each of two owners ends the other's ownership, or their own, in the same moment."""
    tenant = Tenant.objects.create(name="Two", slug=f"two-{uuid4()}")
    first, second = newcomer(tenant), newcomer(tenant)
    start = threading.Barrier(2)

    def acted(owner: User, other: User) -> bool:
        try:
            start.wait(60)
            act(owner, tenant, other)
        except (Refused, AccessDenied, Member.DoesNotExist):
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(acted, first, second), pool.submit(acted, second, first)]
        results = [one.result(120) for one in done]
    assert sorted(results) == [False, True]
    assert Member.objects.filter(tenant=tenant, role=Role.OWNER).count() == 1


@pytest.mark.usefixtures("committed_db")
def test_who_waits_for_another_change_sees_what_it_did() -> None:
    """The one that comes second finds the first's work, however their transactions overlap."""
    tenant = Tenant.objects.create(name="Two", slug=f"two-{uuid4()}")
    first, second = newcomer(tenant), newcomer(tenant)
    access = access_of_user(second, tenant)
    of_first = Member.objects.get(tenant=tenant, user=first).id
    of_second = Member.objects.get(tenant=tenant, user=second).id
    waits = threading.Event()

    def come_second() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backend.append(cursor.fetchone()[0])
        waits.set()
        try:
            update_member(access, of_first, role=Role.VIEWER)
        except Refused:
            return False
        finally:
            connections.close_all()
        return True

    backend: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            update_member(access_of_user(first, tenant), of_second, role=Role.VIEWER)
            coming = pool.submit(come_second)
            assert waits.wait(60)
            _until_blocked(backend[0])
        assert coming.result(120) is False
    assert Member.objects.get(id=of_first).role == Role.OWNER


def _until_blocked(backend: int) -> None:
    """Wait until a connection waits for a lock."""
    until = time.monotonic() + 60
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s))", [backend])
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waited")
