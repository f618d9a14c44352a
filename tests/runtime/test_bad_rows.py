"""A row that nobody can work with fails alone: whatever is wrong with it, other rows are served."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.domain.definition import StepCondition
from engine.ids import new_id
from engine.models import (
    Cron,
    CronMiss,
    DurableWait,
    EndedChild,
    LogLine,
    Schedule,
    StepWait,
    Task,
    Worker,
    Workflow,
)
from engine.operations.durable.satisfy_entries import complete_children, expire_durable_sleeps
from engine.runtime.controllers import clock
from engine.runtime.controllers import ended_children as children
from engine.runtime.controllers.lost_workers import LostWorkers
from engine.runtime.engine import HatchetEngine
from engine.states import ConditionAction, ConditionKind, Status
from engine.types import TriggerRequest
from tests.recorder import Recorder
from tests.runtime.durable import LONG, sleep
from tests.runtime.durable import Worker as DurableWorker
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


def bare_workflow(tenant_id: UUID) -> Workflow:
    now = datetime.now(UTC)
    return Workflow.objects.create(
        tenant_id=tenant_id, name="without versions", created_at=now, updated_at=now
    )


def make_timetables(tenant_id: UUID, stranger_id: UUID, now: datetime) -> None:
    """Make crons and schedules that are due: the tenant's are bad, the stranger's are fine."""
    common = {"created_at": now, "updated_at": now, "input": b"{}"}
    bare, fine = bare_workflow(tenant_id), Workflow.objects.get(tenant_id=tenant_id, name="work")
    of_stranger = Workflow.objects.get(tenant_id=stranger_id, name="work")
    crons: list[tuple[UUID, Workflow, str, Any]] = [
        (tenant_id, fine, "0", ["no object"]),
        (tenant_id, bare, "1", {}),
        (stranger_id, of_stranger, "fine", {"kind": "cron"}),
    ]
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


@pytest.fixture
async def timetables_end(tenant_id: UUID, stranger_id: UUID) -> AsyncIterator[None]:
    """Other tests' engines must not go on firing what this test leaves."""
    yield
    both = [tenant_id, stranger_id]
    await with_django(lambda: Cron.objects.filter(tenant_id__in=both).delete())


@pytest.mark.usefixtures("timetables_end")
async def test_bad_crons_and_schedules_keep_none_of_the_others_from_firing(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID, recorder: Recorder
) -> None:
    for each in (tenant_id, stranger_id):
        await engine.put_workflow(each, workflow())
    worker = await FakeWorker.connect(engine, stranger_id)
    now = datetime.now(UTC)
    await with_django(lambda: make_timetables(tenant_id, stranger_id, now))
    engine.timetable.wake()
    kinds: set[str] = set()
    while kinds != {"cron", "schedule"}:
        action = await worker.next_start()
        kinds.add("cron" if b"cron" in (action.additional_metadata or b"") else "schedule")
        await worker.complete(action)
    await worker.leave()

    crons = Cron.objects.filter(tenant_id=tenant_id).values_list("id", flat=True)
    for cron_id in await with_django(lambda: list(crons)):
        await recorder.wait_for("cron.missed", cron_id=cron_id, cause="failed")

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
        assert "KeyError" in details["1"]

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
    conninfo: str, tenant_id: UUID, stranger_id: UUID, recorder: Recorder
) -> None:
    async with engine_on(conninfo) as first:
        for each in (tenant_id, stranger_id):
            await first.put_workflow(each, workflow())
        await FakeWorker.connect(first, tenant_id)
        await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
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
        await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)


async def test_a_queued_task_that_cannot_be_read_keeps_none_of_the_others_waiting(
    conninfo: str, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as first:
        for name in ("work", "other"):
            await first.put_workflow(tenant_id, workflow(name))
        bad, behind = await trigger(first, tenant_id, 2)
    await with_django(lambda: make_unreadable(bad))
    async with engine_on(conninfo) as second:
        worker = await FakeWorker.connect(second, tenant_id, "work:run", "other:run")
        (other,) = await second.trigger_runs(tenant_id, [TriggerRequest("other")])
        started = [await worker.next_start() for _ in range(2)]
        assert {action.run_id for action in started} == {behind, other}
        for action in started:
            await worker.complete(action)
        await worker.leave()
    await with_django(lambda: Task.objects.filter(id=bad).delete())


async def test_a_scheduler_that_fails_is_rebuilt_and_concerns_no_other(
    engine: HatchetEngine,
    tenant_id: UUID,
    stranger_id: UUID,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = {}
    for each in (tenant_id, stranger_id):
        await engine.put_workflow(each, workflow())
        workers[each] = await FakeWorker.connect(engine, each, slots=1)
        await trigger(engine, each)
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
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


SLEEPING = StepCondition(
    ConditionKind.SLEEP, ConditionAction.QUEUE, 0, "1s", "sleep:1s", sleep_seconds=0.2
)


async def test_a_bad_sleep_keeps_none_of_the_others_from_ending(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID
) -> None:
    long = replace(SLEEPING, sleep_seconds=600.0)
    await engine.put_workflow(tenant_id, workflow(conditions=(long,)))
    await engine.put_workflow(stranger_id, workflow(conditions=(SLEEPING,)))
    (bad,) = await trigger(engine, tenant_id)
    past, waits = datetime.now(UTC) - timedelta(hours=1), StepWait.objects.filter(task_id=bad)

    def spoil() -> None:
        make_unreadable(bad)
        waits.update(due_at=past)

    await with_django(spoil)
    worker = await FakeWorker.connect(engine, stranger_id)
    await trigger(engine, stranger_id)
    await worker.complete(await worker.next_start())
    await worker.leave()
    await until_rows(lambda: waits.filter(due_at__gt=datetime.now(UTC)).exists())


async def test_a_bad_task_of_a_lost_worker_keeps_none_of_the_others_on_it(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    bad, fine = await trigger(engine, tenant_id, 2)
    for _ in range(2):
        await worker.next_start()
    owner = engine.ownership.owners[tenant_id]
    deliveries = LostWorkers(engine.database, engine.effects, {tenant_id: owner})
    silent = datetime.now(UTC) - timedelta(seconds=50)

    def spoil() -> None:
        make_unreadable(bad)
        Worker.objects.filter(id=worker.id).update(last_heartbeat_at=silent)

    await with_django(spoil)
    owner.heartbeats[worker.id], owner.reports_until = 0.0, 0.0
    for _ in range(2):  # what is set aside disturbs nothing the next time
        await deliveries.tick()
    held = owner.machine.workers.running_on(worker.id)
    assert (bad, 0) in held
    assert (fine, 0) not in held
    await with_django(lambda: Task.objects.filter(id=bad).delete())


class Broken:
    """The operation of a loop, which breaks on one item, whoever it is with."""

    def __init__(self, operation: Any, of: Callable[[Any], UUID]) -> None:
        self._operation, self._of = operation, of
        self.bad: UUID | None = None

    def __call__(self, tenant_ids: Any, now: Any, only: Any = None, **given: Any) -> Any:
        may_be_there = self.bad is not None and self.bad not in given.get("but", ())
        if may_be_there and (only is None or self.bad in [self._of(item) for item in only]):
            raise ValueError("bad")
        return (yield from self._operation(tenant_ids, now, only, **given))


async def test_a_bad_sleep_of_a_durable_task_keeps_none_of_the_others_from_ending(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(expire_durable_sleeps, lambda wait: wait.task_id)
    monkeypatch.setattr(clock, "expire_durable_sleeps", broken)
    await engine.put_workflow(tenant_id, LONG)
    worker = await DurableWorker.connect(engine, tenant_id)
    await trigger(engine, tenant_id, 2)
    bad, fine = await worker.start(), await worker.start()
    broken.bad = bad.task_id
    for action in (bad, fine):
        await worker.wait(action, sleep("200ms"))
    waits = DurableWait.objects.filter(tenant_id=tenant_id)
    await until_rows(lambda: not waits.filter(task_id=fine.task_id).exists())
    later = datetime.now(UTC) + timedelta(seconds=30)
    await until_rows(lambda: waits.filter(task_id=bad.task_id, due_at__gt=later).exists())
    await worker.worker.leave()


async def test_a_bad_child_keeps_none_of_the_others_from_telling_their_parents(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(complete_children, lambda run_id: run_id)
    monkeypatch.setattr(children, "complete_children", broken)
    await engine.put_workflow(tenant_id, LONG)
    await engine.put_workflow(tenant_id, workflow("child"))
    worker = await DurableWorker.connect(engine, tenant_id)
    await trigger(engine, tenant_id)
    (_, broken.bad), (_, fine) = await worker.spawn(await worker.start(), "child", "child")
    for _ in range(2):
        await worker.worker.complete(await worker.worker.next_start())
    ended = EndedChild.objects.filter(tenant_id=tenant_id)
    await until_rows(lambda: not ended.filter(run_id=fine).exists())
    assert (await with_django(ended.get)).run_id == broken.bad, "it is kept for another time"
    await worker.worker.leave()
