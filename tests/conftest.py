"""Fixtures every test may use."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import daphne.server  # noqa: F401  its event loop is to be Twisted's, whatever test comes first
import psycopg
import pytest
from django.db import connection
from django.test.utils import setup_databases, teardown_databases
from hypothesis import settings
from psycopg.conninfo import make_conninfo
from pytest_django.plugin import DjangoDbBlocker

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")


HERE = Path(__file__).parent
ORDER = ("chaos", "e2e", "anything else", "runtime")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first: no process of the run is left with one when the others are done.

    Those that leave rows in the test database come last: the others find it empty.
    """

    def turn(item: pytest.Item) -> int:
        directory = item.path.relative_to(HERE).parts[0]
        kind = "chaos" if item.get_closest_marker("chaos") else directory
        return ORDER.index(kind if kind in ORDER else "anything else")

    items.sort(key=turn)


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
    django_db_keepdb: bool,
) -> Iterator[None]:
    """Make the test database whichever tests were chosen.

    The original makes none unless one of them asks for `db`: those that commit would then write
    into the database that DATABASE_URL names.
    """
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False, keepdb=django_db_keepdb)
    yield
    # A connection whose making was cancelled is open until it is collected, and DROP waits for it.
    gc.collect()
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        teardown_databases(made, verbosity=0)


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


@pytest.fixture
def no_keys_left(conninfo: str) -> Iterator[None]:
    """Data keys are committed also by tests that roll back: the next ones are to find none."""
    yield
    with psycopg.connect(conninfo, autocommit=True) as opened:
        opened.execute("DELETE FROM engine_tenantkey")
        opened.execute("DELETE FROM engine_payloadstore")
