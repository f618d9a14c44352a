"""Every test here has a cast, clients, and a counter of calls that starts anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from engine.config import Config
from tenants import token_cache
from tenants.buckets import Buckets
from tenants.rest import views
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.cast import Cast, make_cast
from tests.installation import make_installation
from webhooks import limits


@pytest.fixture(autouse=True)
def installation(settings: Settings) -> Iterator[Config]:
    here = make_installation()
    settings.HATCHET = here
    token_cache.shared.clear()
    yield here
    token_cache.shared.clear()


@pytest.fixture(autouse=True)
def call_limits(monkeypatch: pytest.MonkeyPatch) -> limits.CallLimits:
    fresh = limits.CallLimits()
    monkeypatch.setattr(limits, "shared", fresh)
    return fresh


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked for anything yet."""
    monkeypatch.setattr(views, "asked", Buckets(10.0, 10.0))


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


@pytest.fixture
def api(cast: Cast) -> ApiClient:
    """A client with a valid API token of the tenant."""
    return ApiClient(token=create_token(cast.tenant, "tests")[1])
