"""Every test here has its own signing key, starts with an empty token cache, and may ask often."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from engine.config import Config
from tenants import token_cache
from tenants.buckets import Buckets
from tenants.models import Tenant, User
from tenants.rest import views
from tests.cast import Cast, make_cast
from tests.installation import make_installation


@pytest.fixture(autouse=True)
def installation(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    monkeypatch.setattr(views, "asked", Buckets(1e9, 1e9))
    here = make_installation()
    settings.HATCHET = here
    token_cache.shared.clear()
    yield here
    token_cache.shared.clear()


@pytest.fixture
def committed_db(committed_db: None) -> Iterator[None]:
    """What is committed here goes again: other tests of people look at all there is."""
    yield
    Tenant.with_deleted.all().delete()
    User.objects.all().delete()


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()
