"""The snapshot of the schema, which shows in each diff what a migration does."""

from __future__ import annotations

import pytest
from django.db import connection

from tests import schema


@pytest.mark.django_db
def test_the_snapshot_is_what_the_migrations_make() -> None:
    if connection.cursor().connection.info.server_version // 10_000 != schema.SERVER_VERSION:
        pytest.skip("this server spells its schema differently")
    assert schema.SNAPSHOT.read_text() == schema.dump(connection), "stale: run `make schema`"
