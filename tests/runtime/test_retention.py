"""Engines clear what is old beside their work: one at a time, and without making anybody wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from engine.ids import id_at
from engine.models import Run
from engine.operations.retention.clear import Dropped, drop_day
from engine.operations.retention.kinds import kinds
from engine.operations.retention.periods import cutoffs_of, expired_days
from engine.retention_config import RetentionConfig
from engine.runtime.controllers.retention import Retention
from engine.runtime.engine import HatchetEngine
from engine.runtime.loops.outages import wait_out
from engine.states import Status
from engine.store import retention
from tests.recorder import Recorder
from tests.runtime.harness import PATIENCE_SECONDS, trigger, with_django, workflow

LONG_AGO = "20010203"
TABLES = ("engine_run", "engine_task")


def make_day(day: str) -> None:
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {table}_{day} PARTITION OF {table} FOR VALUES"
                f" FROM (engine_day_start_id('{day}')) TO (engine_day_start_id(date '{day}' + 1))"
            )


def drop_made(day: str) -> None:
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DROP TABLE IF EXISTS {table}_{day}")


@pytest.fixture
def long_ago(committed_db: None) -> Iterator[str]:
    make_day(LONG_AGO)
    yield LONG_AGO
    drop_made(LONG_AGO)


def is_there(day: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"engine_run_{day}"])
        row = cursor.fetchone()
        assert row is not None
        return bool(row[0])


async def clear(engine: HatchetEngine, config: RetentionConfig | None = None) -> None:
    """Do one round."""
    controller = Retention(engine.database, config or RetentionConfig())
    assert not await controller.tick(), "it begins at once, as all that start together"
    while await controller.tick():
        pass


async def clear_until_gone(engine: HatchetEngine, day: str) -> None:
    """Do rounds: where somebody reads at that moment, a day is left to the next one."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await with_django(lambda: is_there(day)):
            await clear(engine)


async def test_a_round_drops_old_days(
    long_ago: str, engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    (run_id,) = await trigger(engine, tenant_id)
    await clear_until_gone(engine, long_ago)
    await recorder.wait_for("retention.dropped", day=long_ago)
    assert await with_django(lambda: Run.objects.filter(id=run_id).exists())


async def test_nothing_goes_where_it_is_switched_off(long_ago: str, engine: HatchetEngine) -> None:
    await clear(engine, replace(RetentionConfig(), is_enabled=False))
    assert await with_django(lambda: is_there(long_ago))


async def test_nobody_is_waited_for_for_long(
    long_ago: str, engine: HatchetEngine, conninfo: str, recorder: Recorder
) -> None:
    """Whoever came after would wait too: it is left to the next round."""
    with psycopg.connect(conninfo) as reader:
        reader.execute("SELECT count(*) FROM engine_run")
        await clear(engine)
        assert await with_django(lambda: is_there(long_ago))
    await clear_until_gone(engine, long_ago)
    await recorder.wait_for("retention.dropped", day=long_ago)


async def test_one_works_at_a_time(long_ago: str, engine: HatchetEngine, conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('hatchet.retention', 0))")
        await clear(engine)
        assert await with_django(lambda: is_there(long_ago))


async def test_what_is_at_work_again_by_then_stays(
    long_ago: str, engine: HatchetEngine, tenant_id: UUID, conninfo: str
) -> None:
    """A run that is replayed when its day was found to be over."""
    await engine.put_workflow(tenant_id, workflow())
    (run_id,) = await trigger(engine, tenant_id)
    old_id = id_at(datetime.strptime(long_ago, "%Y%m%d").replace(tzinfo=UTC) + timedelta(hours=1))
    with psycopg.connect(conninfo, autocommit=True) as database:
        for table in TABLES:
            database.execute(
                f"UPDATE {table} SET id = %s, status = %s WHERE id = %s",
                [old_id, Status.COMPLETED, run_id],
            )
        database.execute("UPDATE engine_task SET run_id = id WHERE id = %s", [old_id])
        shelf = kinds()[0].shelves[0]
        rows = await engine.database.fetch(retention.periods())
        cutoffs = cutoffs_of("runs", rows, RetentionConfig(), datetime.now(UTC))
        (day,) = expired_days([long_ago], cutoffs)
        assert await engine.database.fetch(shelf.needs(day)) == [False]
        database.execute("UPDATE engine_task SET status = 0 WHERE id = %s", [old_id])
        dropped = await wait_out("dropping", lambda: engine.database.run(drop_day(shelf, day)))
        assert dropped is Dropped.NEEDED
        assert await with_django(lambda: is_there(long_ago))
