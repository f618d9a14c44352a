"""Every test here has its own signing key and starts with an empty token cache."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from engine.config import Config
from tenants import token_cache
from tests.cast import Cast, make_cast
from tests.installation import make_installation


@pytest.fixture(autouse=True)
def installation(settings: Settings) -> Iterator[Config]:
    here = make_installation()
    settings.HATCHET = here
    token_cache.shared.clear()
    yield here
    token_cache.shared.clear()


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()
