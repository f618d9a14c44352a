"""A new installation gets an admin, a tenant and a token, once."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from engine.config import Config
from tenants.access import access_of_user
from tenants.bootstrap import bootstrap
from tenants.models import APIToken, Member, Role, Tenant, TokenScope, User
from tenants.people.tenants import delete_tenant
from tenants.tokens import verify_token
from tests.cast import Cast, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_is_there(db: None) -> None:
    """What tests that commit have left goes, and is rolled back as everything is."""
    User.objects.all().delete()
    Tenant.with_deleted.all().delete()


def test_the_first_start_makes_everything_usable(installation: Config) -> None:
    result = bootstrap(installation)
    assert result.admin_email == "admin@example.com"
    assert result.admin_password == installation.admin_password
    assert result.tenant is not None
    assert result.tenant.id == installation.default_tenant_id
    assert result.tenant.slug == "default"
    admin = User.objects.get(email="admin@example.com")
    assert admin.check_password(installation.admin_password)
    assert Member.objects.get(user=admin).role == Role.OWNER
    assert result.token is not None
    assert verify_token(result.token).tenant_id == result.tenant.id


def test_the_second_start_changes_nothing(installation: Config) -> None:
    first = bootstrap(installation)
    after_first = _counts()
    User.objects.get(email=first.admin_email).set_password("changed")
    second = bootstrap(installation)
    assert (second.admin_password, second.token) == (None, None)
    assert second.tenant == first.tenant
    assert _counts() == after_first


def test_what_was_taken_away_does_not_come_back(installation: Config) -> None:
    first = bootstrap(installation)
    assert first.tenant is not None
    somebody = make_user("somebody@acme.test")
    Member.objects.create(tenant=first.tenant, user=somebody, role=Role.OWNER)
    admin = User.objects.get(email=first.admin_email)
    Member.objects.filter(user=admin).delete()
    bootstrap(installation)
    assert not Member.objects.filter(user=admin).exists()
    admin.delete()
    assert bootstrap(installation).admin_password is None
    assert [one.email for one in User.objects.all()] == [somebody.email]
    delete_tenant(access_of_user(somebody, first.tenant), "default")
    again = bootstrap(installation)
    assert (again.tenant, again.token) == (None, None)
    assert not Tenant.objects.exists()


def test_whoever_renames_the_admin_gets_no_second_one(installation: Config) -> None:
    User.objects.filter(email=bootstrap(installation).admin_email).update(email="me@acme.test")
    bootstrap(installation)
    assert [one.email for one in User.objects.all()] == ["me@acme.test"]


def test_createtoken_prints_a_token_that_works(cast: Cast) -> None:
    out = StringIO()
    call_command("createtoken", "--tenant=acme", "--name=x", "--expires-in=2h", stdout=out)
    verified = verify_token(out.getvalue().strip())
    record = APIToken.objects.get(id=verified.token_id)
    assert (record.name, record.tenant) == ("x", cast.tenant)


@pytest.mark.parametrize("scope", TokenScope)
def test_createtoken_takes_a_scope(cast: Cast, scope: TokenScope) -> None:
    out = StringIO()
    call_command("createtoken", "--tenant=acme", f"--scope={scope.value}", stdout=out)
    assert verify_token(out.getvalue().strip()).scope is scope


def test_createtoken_refuses_an_unknown_scope(cast: Cast) -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("createtoken", "--tenant=acme", "--scope=all")
    assert not APIToken.objects.filter(tenant=cast.tenant).exists()


@pytest.mark.parametrize("text", ["", "soon", "5", "-1h", "0s", "1h junk", "9" * 30 + "d"])
def test_createtoken_refuses_a_wrong_duration(cast: Cast, text: str) -> None:
    with pytest.raises(CommandError):
        call_command("createtoken", "--tenant", "acme", f"--expires-in={text}")


def test_createtoken_refuses_an_unknown_tenant(db: None) -> None:
    with pytest.raises(CommandError, match="nowhere"):
        call_command("createtoken", tenant="nowhere")


def test_createuser_makes_somebody_who_can_sign_in(cast: Cast) -> None:
    call_command("createuser", "New@acme.test", tenant="acme", role="VIEWER", password="pw")
    user = User.objects.get(email="new@acme.test")
    assert user.check_password("pw")
    assert Member.objects.get(user=user, tenant=cast.tenant).role == Role.VIEWER
    with pytest.raises(CommandError, match="exists"):
        call_command("createuser", "new@acme.test", tenant="acme", password="pw")


def _counts() -> list[int]:
    return [model.objects.count() for model in (User, Tenant, Member, APIToken)]
