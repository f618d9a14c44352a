"""At a limit exactly so many get through, whichever process they ask, and nobody else notices."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pytest_django import Settings

from engine.errors import LimitReached
from engine.models import Cron, CronMiss, Event, Run
from engine.operations.push_events import push_events
from engine.operations.timetable.change_crons import create_cron
from engine.operations.trigger_runs import trigger_runs
from engine.runtime.controllers.limit_watch import LimitWatch
from engine.runtime.engine import HatchetEngine
from engine.runtime.writers import fullness
from engine.types import EventInput, TriggerRequest, WorkerRegistration
from tests.limits import enforce
from tests.recorder import Recorder
from tests.runtime.harness import (
    elsewhere,
    engine_on,
    trigger,
    until_rows,
    with_django,
    workflow,
)

LIMIT = 25
WORK = TriggerRequest("work")


def count_of(answers: list[object]) -> int:
    """Return how many were accepted; whoever was not was told why."""
    refused = [one for one in answers if isinstance(one, BaseException)]
    assert all(isinstance(error, LimitReached) for error in refused), refused
    return len(answers) - len(refused)


def runs_of(tenant_id: UUID) -> int:
    return Run.objects.filter(tenant_id=tenant_id).count()


async def test_exactly_so_many_runs_whoever_is_asked(
    engine: HatchetEngine,
    tenant_id: UUID,
    stranger_id: UUID,
    conninfo: str,
    settings: Settings,
) -> None:
    """Two engines and a web process at once; a tenant that is not at its limit shares their batches."""
    for one in (tenant_id, stranger_id):
        await engine.put_workflow(one, workflow())
    enforce(settings, task_run=LIMIT)
    async with engine_on(conninfo) as second:
        asked = [trigger(one, tenant_id) for one in (engine, second) for _ in range(2 * LIMIT)]
        foreign = [trigger(engine, stranger_id) for _ in range(LIMIT)]
        web = [elsewhere(trigger_runs(tenant_id, [WORK], datetime.now(UTC))) for _ in range(LIMIT)]
        answers = await asyncio.gather(*asked, *web, *foreign, return_exceptions=True)
    mine, others = answers[: -len(foreign)], answers[-len(foreign) :]
    assert count_of(list(mine)) == LIMIT == await with_django(lambda: runs_of(tenant_id))
    assert count_of(list(others)) == LIMIT == await with_django(lambda: runs_of(stranger_id))


async def test_a_call_is_accepted_as_a_whole_or_not(
    engine: HatchetEngine, tenant_id: UUID, settings: Settings
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    enforce(settings, task_run=LIMIT)
    asked = [trigger(engine, tenant_id, 10) for _ in range(5)]
    assert count_of(await asyncio.gather(*asked, return_exceptions=True)) == 2
    assert await with_django(lambda: runs_of(tenant_id)) == 20


async def test_exactly_so_many_events(
    engine: HatchetEngine, tenant_id: UUID, settings: Settings
) -> None:
    enforce(settings, event=LIMIT)
    asked = [engine.push_events(tenant_id, [EventInput("a")]) for _ in range(2 * LIMIT)]
    web = [
        elsewhere(push_events(tenant_id, [EventInput("a")], datetime.now(UTC)))
        for _ in range(LIMIT)
    ]
    answers = await asyncio.gather(*asked, *web, return_exceptions=True)
    assert count_of(list(answers)) == LIMIT
    stored = Event.objects.filter(tenant_id=tenant_id)
    assert await with_django(stored.count) == LIMIT


async def test_exactly_so_many_workers(
    engine: HatchetEngine, tenant_id: UUID, settings: Settings
) -> None:
    enforce(settings, worker=3)
    registration = WorkerRegistration("fake", (), {"default": 1}, {})
    asked = [engine.register_worker(tenant_id, registration) for _ in range(10)]
    assert count_of(await asyncio.gather(*asked, return_exceptions=True)) == 3


async def test_a_raised_limit_holds_after_a_moment(
    engine: HatchetEngine, tenant_id: UUID, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    monkeypatch.setattr(fullness, "_SECONDS", 0.0)
    enforce(settings, task_run=1)
    await trigger(engine, tenant_id)
    with pytest.raises(LimitReached):
        await trigger(engine, tenant_id)
    enforce(settings, task_run=2)
    await trigger(engine, tenant_id)


async def test_who_is_at_the_limit_is_refused_without_the_database(
    engine: HatchetEngine,
    tenant_id: UUID,
    settings: Settings,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    monkeypatch.setattr(fullness, "_SECONDS", 3600.0)
    enforce(settings, task_run=1)
    (run_id,) = await trigger(engine, tenant_id)
    with pytest.raises(LimitReached):
        await trigger(engine, tenant_id)
    enforce(settings, task_run=2)
    with pytest.raises(LimitReached):
        await trigger(engine, tenant_id)
    child = TriggerRequest("work", parent_task_id=run_id, parent_run_id=run_id, child_index=0)
    assert await engine.trigger_runs(tenant_id, [child]), (
        "it might be there already: it is looked at"
    )


async def test_a_cron_at_the_limit_says_so(
    engine: HatchetEngine, tenant_id: UUID, settings: Settings
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    enforce(settings, task_run=0)
    made = create_cron(
        tenant_id, name="a", expression="0 3 1 1 *", request=WORK, now=datetime.now(UTC)
    )
    cron_id = await elsewhere(made)
    crons = Cron.objects.filter(id=cron_id)
    await with_django(lambda: crons.update(due_at=datetime.now(UTC)))
    engine.timetable.wake()
    misses = CronMiss.objects.filter(cron_id=cron_id, detail__contains="limit of 0")
    await until_rows(misses.exists)
    assert await with_django(lambda: runs_of(tenant_id)) == 0


async def test_engines_tell_of_limits(
    engine: HatchetEngine, tenant_id: UUID, settings: Settings, recorder: Recorder
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    watch = LimitWatch(engine.database)
    await watch.tick()
    enforce(settings, task_run=4)
    await trigger(engine, tenant_id, 2)
    await watch.tick()
    near = await recorder.wait_for("limit.alarmed", tenant_id=tenant_id)
    assert (near.measurements, near.metadata["resource"]) == ({"value": 2, "limit": 4}, "TASK_RUN")
    await trigger(engine, tenant_id, 2)
    await watch.tick()
    await recorder.wait_for("limit.reached", tenant_id=tenant_id)
