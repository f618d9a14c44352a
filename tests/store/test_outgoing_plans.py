"""Statements of outgoing webhooks read what they are about, however much has gathered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.db import connection, transaction
from pytest_django.plugin import DjangoDbBlocker

from engine.ids import new_id
from engine.store.query import Query
from tests.store.plans import Crowd, fill, scans_of
from webhooks.models import Endpoint
from webhooks.outgoing import store
from webhooks.outgoing.changes import NewEndpoint, create_endpoint

ROWS = 20_000
ASKED = 20
MOST_READ = 10 * ASKED
"""Rows that any part of a plan may look at."""

FILL = """
INSERT INTO webhooks_message (message_id, tenant_id, kind, subject_id, at, body)
SELECT gen_random_uuid(), %(tenant)s, 'run.completed', gen_random_uuid(), now(), '{}'
  FROM generate_series(1, %(rows)s);
INSERT INTO webhooks_dispatch (
    id, tenant_id, endpoint_id, message_id, position, subject_id, state, due_at, tries, attempts, error, log,
    created_at)
SELECT gen_random_uuid(), tenant_id, %(endpoint)s, message_id, position, subject_id,
       CASE WHEN position %% 2 = 0 THEN 'DELIVERED' ELSE 'PENDING' END,
       now() + position %% 1000 * interval '1 minute' - interval '5 minutes', 0, 0, '', '[]', now()
  FROM webhooks_message;
INSERT INTO webhooks_occurrence (tenant_id, kind, subject_id, at)
SELECT tenant_id, CASE status WHEN 3 THEN 'run.failed' ELSE 'run.completed' END, id, now()
  FROM engine_run WHERE status > 1 ORDER BY id LIMIT 5000;
ANALYZE webhooks_message;
ANALYZE webhooks_dispatch;
ANALYZE webhooks_occurrence;
ANALYZE webhooks_endpoint
"""


class World(NamedTuple):
    crowd: Crowd
    endpoint: Endpoint

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def claimed(self) -> list[tuple[UUID, UUID]]:
        """Some dispatches, claimed, by their ids and those of their claims."""
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE webhooks_dispatch SET claim_id = gen_random_uuid() WHERE id IN"
                " (SELECT id FROM webhooks_dispatch WHERE state = 'PENDING' LIMIT %s)"
                " RETURNING id, claim_id",
                [ASKED],
            )
            rows: list[tuple[UUID, UUID]] = cursor.fetchall()
            return rows


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), transaction.atomic():
        crowd = fill()
        new = NewEndpoint(url="https://example.com/", kinds=["run.completed", "worker.lost"])
        endpoint, _ = create_endpoint(crowd.tenant_id, new, datetime.now(UTC))
        given: dict[str, Any] = {"tenant": crowd.tenant_id, "endpoint": endpoint.id, "rows": ROWS}
        with connection.cursor() as cursor:
            for statement in FILL.split(";\n"):
                cursor.execute(statement, given)
        yield World(crowd, endpoint)
        transaction.set_rollback(True)
    connection.close()


def claim(world: World) -> Query[Any]:
    return store.claim(
        new_id(),
        {world.endpoint.id: 1},
        most_of_each=ASKED,
        limit=64,
        until=world.now + timedelta(minutes=1),
        now=world.now,
    )


def record(world: World) -> Query[Any]:
    outcomes = [
        store.Outcome(
            dispatch_id=identity,
            claim_id=claim_id,
            tenant_id=world.crowd.tenant_id,
            endpoint_id=world.endpoint.id,
            state="DELIVERED",
            due_at=world.now,
            status=200,
            error="",
            entry="{}",
            not_before=None,
            is_gone=False,
        )
        for identity, claim_id in world.claimed()
    ]
    return store.record(outcomes, kept=10, now=world.now)


def occurrences(_: World) -> Query[Any]:
    return store.occurrences(ASKED)


def forget(world: World) -> Query[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM webhooks_occurrence LIMIT %s", [ASKED])
        return store.forget([row[0] for row in cursor.fetchall()])


@pytest.mark.parametrize("query", [claim, record, occurrences, forget])
def test_no_more_is_read_than_is_asked_for(
    world: World, query: Callable[[World], Query[Any]]
) -> None:
    with transaction.atomic():
        scans = scans_of(query(world))
        transaction.set_rollback(True)
    assert scans
    assert [scan for scan in scans if scan.rows > MOST_READ] == []
