"""A row that nobody can work with fails alone: whatever is wrong with it, other rows are served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.ids import new_id
from engine.models import Cron, CronMiss, LogLine, Schedule, Task, Worker, Workflow
from engine.runtime.engine import HatchetEngine
from engine.states import CronMissCause, Status
from engine.types import TriggerRequest
from tests.runtime.harness import (
    FakeWorker,
    engine_on,
    result_of,
    trigger,
    until,
    until_rows,
    with_django,
    workflow,
)


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"a": found}
    return found


def bare_workflow(tenant_id: UUID) -> Workflow:
    now = datetime.now(UTC)
    return Workflow.objects.create(
        tenant_id=tenant_id, name="without versions", created_at=now, updated_at=now
    )


@pytest.fixture
async def timetables_end(tenant_id: UUID, stranger_id: UUID) -> AsyncIterator[None]:
    """Other tests' engines must not go on firing what this test leaves."""
    yield
    both = [tenant_id, stranger_id]
    await with_django(lambda: Cron.objects.filter(tenant_id__in=both).delete())


@pytest.mark.usefixtures("timetables_end")
async def test_bad_crons_and_schedules_keep_none_of_the_others_from_firing(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID
) -> None:
    for each in (tenant_id, stranger_id):
        await engine.put_workflow(each, workflow())
    worker = await FakeWorker.connect(engine, stranger_id)
    now = datetime.now(UTC)
    common = {"created_at": now, "updated_at": now, "input": b"{}"}

    def store() -> None:
        bare, fine = (
            bare_workflow(tenant_id),
            Workflow.objects.get(tenant_id=tenant_id, name="work"),
        )
        bad: list[tuple[Workflow, Any]] = [
            (fine, nested(300)),
            (fine, {"n": int("9" * 400)}),
            (fine, ["no object"]),
            (bare, {}),
        ]
        crons = [
            (tenant_id, of, str(number), metadata) for number, (of, metadata) in enumerate(bad)
        ]
        of_stranger = Workflow.objects.get(tenant_id=stranger_id, name="work")
        crons.append((stranger_id, of_stranger, "fine", {"kind": "cron"}))
        for owner, of, name, metadata in crons:
            Cron.objects.create(
                tenant_id=owner,
                workflow=of,
                name=name,
                expression="* * * * * *",
                additional_metadata=metadata,
                is_declared=False,
                due_at=now,
                **common,
            )
        for owner, of in ((tenant_id, bare), (stranger_id, of_stranger)):
            Schedule.objects.create(
                tenant_id=owner, workflow=of, trigger_at=now, due_at=now, priority=3, **common
            )

    await with_django(store)
    engine.timetable.wake()
    kinds: set[str] = set()
    while kinds != {"cron", "schedule"}:
        action = await worker.next_start()
        kinds.add("cron" if b"cron" in (action.additional_metadata or b"") else "schedule")
        await worker.complete(action)
    await worker.leave()

    def are_told() -> bool:
        told = CronMiss.objects.filter(cron__tenant_id=tenant_id, cause=CronMissCause.FAILED)
        return told.count() >= 4

    await until_rows(are_told)

    def check() -> None:
        for cron in Cron.objects.filter(tenant_id=tenant_id):
            assert cron.due_at is not None
            assert cron.due_at > now
            assert cron.misses.count() == 1, "one entry for all that fails alike"
        failed = Schedule.objects.get(tenant_id=tenant_id)
        assert (failed.due_at, failed.run_id) == (None, None)
        assert "KeyError" in (failed.failure or "")
        details = {
            miss.cron.name: miss.detail
            for miss in CronMiss.objects.select_related("cron").filter(cron__tenant_id=tenant_id)
        }
        assert "metadata" in details["0"]
        assert "metadata" in details["1"]

    await with_django(check)


def make_unreadable(run_id: UUID, **changes: Any) -> None:
    Task.objects.filter(id=run_id).update(version_id=new_id(), **changes)


async def test_a_bad_task_keeps_none_of_the_others_from_timing_out(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID
) -> None:
    for each in (tenant_id, stranger_id):
        timed = workflow(schedule_timeout="1s", schedule_timeout_seconds=0.5)
        await engine.put_workflow(each, timed if each == stranger_id else workflow())
    (bad,) = await trigger(engine, tenant_id)
    past = datetime.now(UTC) - timedelta(hours=1)
    await with_django(lambda: make_unreadable(bad, due_at=past, is_delayed=True))
    (fine,) = await trigger(engine, stranger_id)
    finished = await result_of(engine, stranger_id, fine)
    assert [result.status for result in finished.results] == [Status.CANCELLED]
    await until_rows(lambda: LogLine.objects.filter(task_id=bad).exists())

    def check() -> None:
        task = Task.objects.get(id=bad)
        assert task.due_at is not None
        assert task.due_at > datetime.now(UTC)
        assert "KeyError" in LogLine.objects.get(task_id=bad).message

    await with_django(check)


async def test_a_tenant_whose_rows_cannot_be_read_keeps_none_of_the_others_from_being_scheduled(
    conninfo: str, tenant_id: UUID, stranger_id: UUID
) -> None:
    async with engine_on(conninfo) as first:
        for each in (tenant_id, stranger_id):
            await first.put_workflow(each, workflow())
        await FakeWorker.connect(first, tenant_id)
    bad = Worker.objects.filter(tenant_id=tenant_id)
    await with_django(lambda: bad.update(labels=["no", "object"]))
    async with engine_on(conninfo) as second:
        await until(lambda: tenant_id in second.ownership._failed_rebuilds)
        worker = await FakeWorker.connect(second, stranger_id)
        await trigger(second, stranger_id)
        await worker.complete(await worker.next_start())
        await worker.leave()
        assert not second.ownership.owners[tenant_id].is_ready
        await with_django(lambda: bad.update(labels={}))
        await until(lambda: second.ownership.owners[tenant_id].is_ready)


async def test_a_queue_that_cannot_be_read_keeps_none_of_the_others_waiting(
    conninfo: str, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as first:
        for name in ("work", "other"):
            await first.put_workflow(tenant_id, workflow(name))
        (bad,) = await trigger(first, tenant_id)
    await with_django(lambda: make_unreadable(bad))
    async with engine_on(conninfo) as second:
        worker = await FakeWorker.connect(second, tenant_id, "work:run", "other:run")
        await second.trigger_runs(tenant_id, [TriggerRequest("other")])
        await worker.complete(await worker.next_start())
        await worker.leave()
    await with_django(lambda: Task.objects.filter(id=bad).delete())


async def test_a_scheduler_that_fails_is_rebuilt_and_concerns_no_other(
    engine: HatchetEngine,
    tenant_id: UUID,
    stranger_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = {}
    for each in (tenant_id, stranger_id):
        await engine.put_workflow(each, workflow())
        workers[each] = await FakeWorker.connect(engine, each, slots=1)
        await trigger(engine, each)
    await until(lambda: engine.ownership.owners[tenant_id].is_ready)
    started = {each: await worker.next_start() for each, worker in workers.items()}
    owner = engine.ownership.owners[tenant_id]

    def fail(*_: object) -> None:
        raise ValueError("the machine is broken")

    monkeypatch.setattr(owner.machine, "withdraw", fail)
    for each, worker in workers.items():
        await worker.complete(started[each])
        await trigger(engine, each)
        await worker.complete(await worker.next_start())
        await worker.leave()
