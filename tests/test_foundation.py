"""The test run itself stands on a migrated database."""

import psycopg
import pytest
from django.db import connection


@pytest.mark.django_db
def test_a_test_sees_the_migrated_tables() -> None:
    assert "engine_run" in connection.introspection.table_names()


def test_a_committing_test_reaches_the_same_database(conninfo: str) -> None:
    with psycopg.connect(conninfo) as other:
        row = other.execute("SELECT current_database(), to_regclass('engine_run')::text").fetchone()
    assert row == (connection.settings_dict["NAME"], "engine_run")
