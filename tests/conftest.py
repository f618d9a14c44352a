"""Fixtures every test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from psycopg.conninfo import make_conninfo
from pytest_django.plugin import DjangoDbBlocker


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database for tests that really commit; each works in a tenant of its own."""
    with django_db_blocker.unblock():
        yield
        connection.close()


@pytest.fixture
def conninfo(committed_db: None) -> str:
    """How a connection other than Django's reaches the test database."""
    given = connection.get_connection_params()
    return make_conninfo(
        **{
            name: given[name]
            for name in ("host", "port", "user", "password", "dbname")
            if given.get(name)
        }
    )
