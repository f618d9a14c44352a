"""A program that uses `hatchet_v1` on Django's connection, as a role of its own; everything rolls back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from engine.ids import new_id
from engine.models import OutboxRow, SqlRole
from engine.operations.take_outbox import Taken, take_outbox
from tests.changes import changing
from tests.operations.bench import Bench

ENQUEUE, READ = "hatchet_enqueue", "hatchet_read"


class Contract:
    """A tenant with the workflow `flow`, and a role `app` that may do all the contract offers."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.bench.put()
        self.role = self.make_role(ENQUEUE, READ)
        self.map(self.role, self.bench.tenant_id)

    def make_role(self, *memberships: str) -> str:
        name = f"app_{new_id().hex}"
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {name}")
            for membership in memberships:
                cursor.execute(f"GRANT {membership} TO {name}")
        return name

    def map(self, role: str, tenant_id: UUID) -> None:
        SqlRole.objects.create(role=role, tenant_id=tenant_id, created_at=self.bench.now)

    @contextmanager
    def acting(self, role: str | None = None) -> Iterator[Any]:
        """A cursor that is the role's until the block ends."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {role or self.role}")
            yield cursor
            cursor.execute("RESET ROLE")

    def call(self, expression: str, *params: Any, role: str | None = None) -> Any:
        """Return the first column of `SELECT expression`."""
        with self.acting(role) as cursor:
            cursor.execute(f"SELECT {expression}", list(params))
            (value,) = cursor.fetchone()
        return value

    def enqueue(self, data: Any = None, workflow: str = "flow", **options: Any) -> UUID:
        named = "".join(f", {name} => %s" for name in options)
        values = [json.dumps(v) if isinstance(v, dict) else v for v in options.values()]
        run_id = self.call(
            f"hatchet_v1.enqueue(%s, %s::jsonb{named})", workflow, json.dumps(data or {}), *values
        )
        assert isinstance(run_id, UUID)
        return run_id

    def rows(self, view: str, where: str = "true", *params: Any) -> list[dict[str, Any]]:
        with self.acting() as cursor:
            cursor.execute(
                f"SELECT to_jsonb(v)::text FROM hatchet_v1.{view} v WHERE {where}", list(params)
            )
            return [json.loads(text) for (text,) in cursor.fetchall()]

    def take(self) -> Taken:
        taken, self.bench.changes = changing(take_outbox(self.bench.now))
        return taken

    def waiting(self) -> int:
        return OutboxRow.objects.filter(tenant_id=self.bench.tenant_id).count()


@contextmanager
def refused(sqlstate: str, words: str) -> Iterator[None]:
    """The block is refused with this error, and nothing of it is stored."""
    before = OutboxRow.objects.count()
    with pytest.raises(DatabaseError, match=words) as caught, transaction.atomic():
        yield
    cause = caught.value.__cause__
    assert isinstance(cause, psycopg.Error)
    assert cause.sqlstate == sqlstate
    assert OutboxRow.objects.count() == before
