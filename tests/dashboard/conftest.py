"""The cast of every page's test, and a browser for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.test import Client
from pytest_django import Settings

from tenants.buckets import Buckets
from tenants.models import Member, Role, Tenant, User
from tenants.rest import views
from tests.dashboard import factories
from tests.dashboard.device import Clock
from tests.dashboard.service_sign_in import EMAIL, configure
from tests.identity_providers import IdentityProvider, identity_provider


@pytest.fixture(autouse=True)
def _plain_static_files(settings: pytest.FixtureRequest) -> None:
    """Pages name files by hash; the manifest of hashes exists only after `collectstatic`."""
    settings.STORAGES = {  # type: ignore[attr-defined]
        **settings.STORAGES,  # type: ignore[attr-defined]
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture(autouse=True)
def _any_number_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests follow each other faster than people."""
    monkeypatch.setattr(views, "asked", Buckets(1e9, 1e9))


@pytest.fixture
def tenant(db: None) -> Tenant:
    return factories.make_tenant()


@pytest.fixture
def sign_in() -> Callable[[User], Client]:
    def sign_in_as(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in_as


@pytest.fixture
def owner(tenant: Tenant, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(factories.make_member(tenant, Role.OWNER))


@pytest.fixture
def admin(tenant: Tenant, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(factories.make_member(tenant, Role.ADMIN))


@pytest.fixture
def member(tenant: Tenant, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(factories.make_member(tenant, Role.MEMBER))


@pytest.fixture
def viewer(tenant: Tenant, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(factories.make_member(tenant, Role.VIEWER))


@pytest.fixture
def stranger(db: None, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(factories.make_member(factories.make_tenant("Other"), Role.OWNER))


@pytest.fixture
def anonymous() -> Client:
    return Client()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What allauth takes for the time."""
    clock = Clock()
    monkeypatch.setattr("allauth.mfa.totp.internal.auth.time", SimpleNamespace(time=clock))
    return clock


@pytest.fixture(scope="session")
def idp() -> Iterator[IdentityProvider]:
    with identity_provider() as running:
        yield running


@pytest.fixture
def offered(settings: Settings, idp: IdentityProvider) -> None:
    configure(settings, idp.issuer)


@pytest.fixture
def ann(db: None, tenant: Tenant) -> User:
    user = factories.make_user(EMAIL)
    Member.objects.create(tenant=tenant, user=user, role=Role.MEMBER)
    return user
