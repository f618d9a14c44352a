"""Bulk actions are worked off by whichever engine is there, and outlive each of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from engine.errors import PayloadsAway
from engine.ids import new_id
from engine.models import BulkAction, Run
from engine.operations import work_bulk_actions
from engine.operations.change_bulk_actions import stage_bulk_action, start_bulk_action
from engine.runtime.controllers import bulk_actions as controller
from engine.runtime.controllers.bulk_actions import BulkActions
from engine.runtime.engine import HatchetEngine
from engine.states import BulkKind, BulkState, Status
from engine.store.query import Operation
from engine.types import RunFilter
from tests.runtime.harness import engine_on, trigger, until_rows, with_django, workflow


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs at a time; the engines' own loops wait for as long as a test takes."""
    monkeypatch.setattr(work_bulk_actions, "AT_ONCE", 2)
    monkeypatch.setattr(BulkActions, "interval_seconds", 3600.0)


async def started(engine: HatchetEngine, tenant_id: UUID) -> UUID:
    """Start to cancel all runs of the tenant."""
    now, action_id = datetime.now(UTC), new_id()
    run_filter = RunFilter(since=now - timedelta(days=1), until=now)
    staged = stage_bulk_action(tenant_id, action_id, BulkKind.CANCEL, run_filter, total=5, now=now)
    await engine.database.run(staged)
    await engine.database.run(start_bulk_action(tenant_id, action_id, now))
    return action_id


def is_in(action_id: UUID, state: BulkState) -> bool:
    return BulkAction.objects.filter(id=action_id, state=state).exists()


def cancelled(tenant_id: UUID) -> int:
    return Run.objects.filter(tenant_id=tenant_id, status=Status.CANCELLED).count()


async def work_off(engine: HatchetEngine) -> None:
    loop = BulkActions(engine.database)
    while await loop.tick():
        pass


async def test_an_engine_works_it_off_and_its_scheduler_knows(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id, 5)
    action_id = await started(engine, tenant_id)
    await work_off(engine)
    await until_rows(lambda: is_in(action_id, BulkState.COMPLETED))
    await until_rows(lambda: cancelled(tenant_id) == 5)


async def test_another_engine_goes_on_where_one_ended(conninfo: str, tenant_id: UUID) -> None:
    async with engine_on(conninfo) as first:
        await first.put_workflow(tenant_id, workflow())
        await trigger(first, tenant_id, 5)
        action_id = await started(first, tenant_id)
        assert await BulkActions(first.database).tick()
        await until_rows(lambda: cancelled(tenant_id) == 2)
    async with engine_on(conninfo) as second:
        await work_off(second)
        await until_rows(lambda: is_in(action_id, BulkState.COMPLETED))
        await until_rows(lambda: cancelled(tenant_id) == 5)
        await until_rows(lambda: BulkAction.objects.get(id=action_id).done == 5)


async def test_two_engines_at_once_come_to_each_run_once(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id, 9)
    action_id = await started(engine, tenant_id)
    async with engine_on(conninfo) as second:
        await asyncio.gather(work_off(engine), work_off(second))
    # What the second had in hand when it stopped may be locked for a moment, and is passed over then.
    while not await with_django(lambda: is_in(action_id, BulkState.COMPLETED)):
        await work_off(engine)
    await until_rows(lambda: BulkAction.objects.get(id=action_id).done == 9)
    await until_rows(lambda: BulkAction.objects.get(id=action_id).changed == 9)


async def test_one_that_breaks_ends_and_keeps_nothing_from_the_others(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id, 3)
    broken, sound = await started(engine, tenant_id), await started(engine, tenant_id)

    def advance(action_id: UUID, now: datetime) -> Operation[bool]:
        if action_id == broken:
            raise ValueError("a bad row")
        return work_bulk_actions.advance_bulk_action(action_id, now)

    monkeypatch.setattr(controller, "advance_bulk_action", advance)
    await work_off(engine)
    await until_rows(lambda: is_in(broken, BulkState.FAILED))
    await until_rows(lambda: BulkAction.objects.get(id=broken).error == "ValueError: a bad row")
    await until_rows(lambda: is_in(sound, BulkState.COMPLETED))


async def test_an_object_store_that_is_away_ends_nothing(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id, 5)
    action_id = await started(engine, tenant_id)

    def advance(*_: object) -> Operation[bool]:
        yield from ()
        raise PayloadsAway("the object store cannot be reached")

    with monkeypatch.context() as patched:
        patched.setattr(controller, "advance_bulk_action", advance)
        await work_off(engine)
    assert await with_django(lambda: is_in(action_id, BulkState.RUNNING))
    await work_off(engine)
    assert await with_django(lambda: is_in(action_id, BulkState.COMPLETED))
