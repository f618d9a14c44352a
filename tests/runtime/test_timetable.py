"""Two engines on one database fire every nominal time once, and sleep while nothing is due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.models import Cron, CronMiss, Run
from engine.operations.timetable.change_crons import create_cron
from engine.runtime.controllers import timetable
from engine.runtime.engine import HatchetEngine
from engine.states import CronMissCause, MissedPolicy
from engine.store import sync_db
from engine.types import TriggerRequest
from tests.recorder import Recorder
from tests.runtime.harness import FakeWorker, engine_on, with_django, workflow

SECONDS = 4
EVERY_SECOND = WorkflowDefinition(
    "tick", (StepDefinition("run", "work:run"),), cron_triggers=("* * * * * *",)
)


@pytest.fixture
async def crons_end(tenant_id: UUID) -> AsyncIterator[None]:
    """Other tests' engines must not go on firing what this test leaves."""
    yield
    await with_django(lambda: Cron.objects.filter(tenant_id=tenant_id).delete())


def nominal_times(tenant_id: UUID) -> list[str]:
    metadata: Any = Run.objects.filter(tenant_id=tenant_id).values_list(
        "additional_metadata", flat=True
    )
    return sorted(pairs["hatchet__cron_scheduled_at"] for pairs in metadata)


@pytest.mark.usefixtures("crons_end")
async def test_two_engines_fire_each_second_once(conninfo: str, tenant_id: UUID) -> None:
    started = datetime.now(UTC)
    async with engine_on(conninfo) as one, engine_on(conninfo) as _other:
        worker = await FakeWorker.connect(one, tenant_id)
        await one.put_workflow(tenant_id, EVERY_SECOND)
        for _ in range(SECONDS):
            await worker.complete(await worker.next_start())
        await worker.leave()
    ended = datetime.now(UTC)
    found = await with_django(lambda: nominal_times(tenant_id))
    first = datetime.fromisoformat(found[0])
    expected = [first + timedelta(seconds=n) for n in range(len(found))]
    assert [datetime.fromisoformat(text) for text in found] == expected
    assert started <= first
    assert expected[-1] <= ended
    assert len(found) >= SECONDS


async def test_two_engines_fire_each_schedule_once(conninfo: str, tenant_id: UUID) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    past = soon - timedelta(days=1)
    request = TriggerRequest("work", b'{"by":"schedule"}')
    async with engine_on(conninfo) as one, engine_on(conninfo) as other:
        worker = await FakeWorker.connect(one, tenant_id)
        await one.put_workflow(tenant_id, workflow())
        made = await other.schedule_runs(tenant_id, request, [past, *[soon] * 20])
        for _ in made.schedules:
            action = await worker.next_start()
            assert b'{"by":"schedule"}' in action.payload
            await worker.complete(action)
        await worker.leave()
    runs = await with_django(lambda: Run.objects.filter(tenant_id=tenant_id).count())
    assert runs == len(made.schedules)


@pytest.mark.usefixtures("crons_end")
async def test_a_cron_made_elsewhere_fires_without_waiting_for_a_poll(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timetable, "_SLOWEST_SECONDS", 3600.0)
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    operation = create_cron(
        tenant_id,
        name="soon",
        expression="* * * * * *",
        request=TriggerRequest("work", b'{"from":"cron"}'),
        now=datetime.now(UTC),
    )
    await with_django(lambda: sync_db.run(operation))
    action = await asyncio.wait_for(worker.next_start(), 10)
    assert b'{"from":"cron"}' in action.payload
    await worker.leave()


@pytest.mark.usefixtures("crons_end")
async def test_an_engine_that_starts_again_tells_and_makes_up_what_was_missed(
    conninfo: str, tenant_id: UUID, recorder: Recorder
) -> None:
    async with engine_on(conninfo) as first:
        await first.put_workflow(tenant_id, workflow())
    made = datetime.now(UTC) - timedelta(minutes=90)
    policies = {policy.name: policy for policy in MissedPolicy}
    cron_ids: dict[str, UUID] = {}

    def create() -> None:
        for name, policy in policies.items():
            operation = create_cron(
                tenant_id,
                name=name,
                expression="@every 25m",
                request=TriggerRequest("work", orjson.dumps({"from": name})),
                now=made,
                missed=policy,
            )
            cron_ids[name] = sync_db.run(operation)

    await with_django(create)
    async with engine_on(conninfo) as second:
        worker = await FakeWorker.connect(second, tenant_id)
        started = [await worker.next_start() for _ in range(4)]
        for action in started:
            await worker.complete(action)
        for name in ("SKIP", "LATEST"):
            await recorder.wait_for("cron.missed", cron_id=cron_ids[name], cause="stopped")
        await worker.leave()
    told = [b"LATEST" in action.payload for action in started]
    assert told.count(True) == 1, "the latest once, and all three of them"

    def check() -> None:
        misses = CronMiss.objects.filter(cron__tenant_id=tenant_id).select_related("cron")
        assert {miss.cron.name: (miss.cause, miss.count) for miss in misses} == {
            "SKIP": (CronMissCause.STOPPED, 3),
            "LATEST": (CronMissCause.STOPPED, 2),
        }
        assert len(set(nominal_times(tenant_id))) == 3
        for cron in Cron.objects.filter(tenant_id=tenant_id):
            assert cron.due_at is not None
            assert cron.due_at > datetime.now(UTC)

    await with_django(check)
