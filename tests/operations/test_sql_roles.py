"""`manage.py sqlrole`: who of the database may act for which tenant."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from engine.ids import new_id
from engine.models import SqlRole
from tenants.models import AuditEntry, Tenant
from tests.operations.contract import ENQUEUE, READ, Contract


@pytest.fixture
def tenant(db: None) -> Tenant:
    return Tenant.objects.create(name="Acme", slug="acme")


@pytest.fixture
def role(db: None) -> str:
    name = f"app_{new_id().hex}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {name}")
    return name


def sqlrole(*words: str) -> tuple[str, str]:
    out, error = StringIO(), StringIO()
    call_command("sqlrole", *words, stdout=out, stderr=error)
    return out.getvalue(), error.getvalue()


def memberships(role: str) -> set[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
            " JOIN pg_roles u ON u.oid = m.member WHERE u.rolname = %s",
            [role],
        )
        return {name for (name,) in cursor.fetchall()}


def test_a_granted_role_may_enqueue_for_the_tenant(tenant: Tenant, role: str) -> None:
    assert sqlrole("grant", role, "--tenant", "acme") == ("", "")
    assert sqlrole("grant", role, "--tenant", "acme") == ("", ""), "again changes nothing"
    assert memberships(role) == {ENQUEUE, READ}
    assert SqlRole.objects.get().tenant == tenant
    assert sqlrole("list")[0] == f"{role}\tacme\n"
    entry = AuditEntry.objects.get(resource_kind="sql_role")
    assert (entry.tenant_id, entry.resource_name, entry.actor_kind) == (tenant.id, role, "cli")
    sqlrole("revoke", role, "--tenant", "acme")
    assert not SqlRole.objects.exists()
    with pytest.raises(CommandError, match="does not act for the tenant"):
        sqlrole("revoke", role, "--tenant", "acme")


def test_a_reader_reads_for_five_seconds_at_most(tenant: Tenant, role: str) -> None:
    sqlrole("grant", role, "--tenant", "acme", "--read-only")
    assert memberships(role) == {READ}
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolconfig FROM pg_roles WHERE rolname = %s", [role])
        assert cursor.fetchone() == (["statement_timeout=5s"],)


def test_what_may_not_be_done_is_printed_for_somebody_who_may(tenant: Tenant) -> None:
    out, error = sqlrole("grant", 'no"body', "--tenant", "acme")
    assert 'GRANT "hatchet_enqueue", "hatchet_read" TO "no""body";' in out
    assert "CREATE ROLE" in out
    assert "does not exist" in error
    assert SqlRole.objects.get().role == 'no"body'


@pytest.mark.parametrize("name", ["", "x" * 64, "a\0b"])
def test_a_name_that_no_role_has_is_refused(tenant: Tenant, name: str) -> None:
    with pytest.raises(CommandError, match="1 to 63 bytes"):
        sqlrole("grant", name, "--tenant", "acme")
    with pytest.raises(CommandError, match="no tenant"):
        sqlrole("grant", "app", "--tenant", "nobody")


def test_the_sql_may_be_run_again_and_again(db: None) -> None:
    contract = Contract()
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(sqlrole("sql")[0])
    assert contract.enqueue() is not None
