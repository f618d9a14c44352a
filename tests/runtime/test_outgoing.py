"""What happens is told to endpoints: signed, in order for each run, until it is taken, and to nobody else."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from engine.operations.replay_tasks import replay_tasks
from engine.runtime.engine import HatchetEngine
from engine.types import ReportKind, TriggerRequest
from tests.runtime.harness import FakeWorker, trigger, until_rows, with_django, workflow
from tests.runtime.outgoing import all_are, came, complete_runs, endpoint_for, failing
from tests.webhooks.receiver import Answer, Receiver
from webhooks.models import Dispatch, DispatchState, Endpoint, Occurrence
from webhooks.outgoing import changes, schedule

pytestmark = pytest.mark.usefixtures("quick_sending")


async def test_a_run_is_told_from_its_beginning_to_its_end(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    endpoint, secret = await endpoint_for(tenant_id, receiver)
    _, workflow_id = await engine.put_workflow(tenant_id, workflow())
    [run] = await complete_runs(engine, tenant_id)
    told = await came(receiver, 3)
    assert [one.kind for one in told] == ["run.created", "run.started", "run.completed"]
    assert all(one.is_signed_with(secret) for one in told)
    assert len({one.headers["webhook-id"] for one in told}) == 3
    last = told[-1].json
    assert last["type"] == "run.completed"
    data = last["data"]
    assert (data["tenantId"], data["workflowRunId"]) == (str(tenant_id), str(run))
    assert (data["workflowId"], data["workflowName"]) == (str(workflow_id), "work")
    assert (data["status"], data["triggeredBy"]) == ("COMPLETED", "MANUAL")
    assert data["createdAt"] <= data["startedAt"] <= data["finishedAt"] == last["timestamp"]
    assert "finishedAt" not in told[0].json["data"]
    await until_rows(lambda: all_are(endpoint, DispatchState.DELIVERED, 3))
    assert not await with_django(Occurrence.objects.filter(tenant_id=tenant_id).exists)


async def test_failures_retries_and_replays_are_told(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    await endpoint_for(tenant_id, receiver)
    await engine.put_workflow(tenant_id, workflow(retries=1))
    worker = await FakeWorker.connect(engine, tenant_id)
    [run] = await trigger(engine, tenant_id)
    for _ in range(2):
        await worker.report(await worker.next_start(), ReportKind.FAILED, b"it broke")
    told = await came(receiver, 3)
    assert [one.kind for one in told] == ["run.created", "run.started", "run.failed"]
    assert told[-1].json["data"]["errorMessage"] == "it broke"
    await engine.database.run(replay_tasks(tenant_id, [run], datetime.now(UTC)))
    await worker.complete(await worker.next_start())
    told = await came(receiver, 5)
    assert [one.kind for one in told[3:]] == ["run.replayed", "run.completed"]


async def test_only_what_is_asked_for_is_told(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID, receiver: Receiver
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    _, workflow_id = await engine.put_workflow(tenant_id, workflow("other"))
    await engine.put_workflow(stranger_id, workflow())
    await endpoint_for(tenant_id, receiver, "run.created", workflow_ids=[workflow_id])
    await complete_runs(engine, stranger_id)
    await complete_runs(engine, tenant_id)
    [run] = await engine.trigger_runs(tenant_id, [TriggerRequest("other")])
    [told] = await came(receiver, 1)
    assert (told.kind, told.run) == ("run.created", str(run))
    noted = Occurrence.objects.filter(tenant_id__in=[stranger_id, tenant_id])
    await until_rows(lambda: not noted.exists())
    assert len(receiver.so_far()) == 1


async def test_without_an_endpoint_nothing_is_noted(engine: HatchetEngine, tenant_id: UUID) -> None:
    await engine.put_workflow(tenant_id, workflow())
    await complete_runs(engine, tenant_id)
    assert not await with_django(Occurrence.objects.filter(tenant_id=tenant_id).exists)


async def test_each_run_is_told_in_order_although_attempts_fail(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    receiver.answers = failing("run.created", 15)
    endpoint, _ = await endpoint_for(tenant_id, receiver)
    await engine.put_workflow(tenant_id, workflow())
    await complete_runs(engine, tenant_id, 6)
    await until_rows(lambda: all_are(endpoint, DispatchState.DELIVERED, 18))
    kinds: dict[str, list[str]] = defaultdict(list)
    for one in receiver.so_far():
        kinds[one.run].append(one.kind)
    assert len(kinds) == 6
    for of_run in kinds.values():
        tries = len(of_run) - 2
        assert of_run == ["run.created"] * tries + ["run.started", "run.completed"]
    ids = {one.headers["webhook-id"] for one in receiver.so_far()}
    assert (len(ids), len(receiver.so_far())) == (18, 33)


async def test_one_run_that_is_refused_does_not_hold_up_the_others(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "DELAYS", (timedelta(hours=1),) * 9)
    receiver.answers = failing("run.created", 1)
    endpoint, _ = await endpoint_for(tenant_id, receiver)
    await engine.put_workflow(tenant_id, workflow())
    [held] = await complete_runs(engine, tenant_id)
    await came(receiver, 1)
    [free] = await complete_runs(engine, tenant_id)
    told = await came(receiver, 4)
    assert [one.run for one in told] == [str(held)] + [str(free)] * 3
    waiting = Dispatch.objects.filter(endpoint_id=endpoint.id, state=DispatchState.PENDING)
    first, *later = await with_django(lambda: list(waiting.order_by("position")))
    assert (first.status, first.error, first.attempts) == (500, "answered 500", 1)
    assert [entry["answer"] for entry in first.log] == ["not now"]
    assert [one.attempts for one in later] == [0, 0]
    await with_django(lambda: changes.send_again(first, datetime.now(UTC)))
    told = await came(receiver, 7)
    assert [one.kind for one in told[4:]] == ["run.created", "run.started", "run.completed"]
    assert told[4].headers["webhook-id"] == told[0].headers["webhook-id"]
    assert told[4].body == told[0].body


async def test_what_is_given_up_is_kept_and_sent_when_it_is_asked_for(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    receiver.answers = failing("run.created", 10)
    endpoint, _ = await endpoint_for(tenant_id, receiver)
    await engine.put_workflow(tenant_id, workflow())
    await complete_runs(engine, tenant_id)
    told = await came(receiver, 12)
    assert [one.kind for one in told[9:]] == ["run.created", "run.started", "run.completed"]
    failed = Dispatch.objects.filter(endpoint_id=endpoint.id, state=DispatchState.FAILED)
    await until_rows(lambda: failed.count() == 1)
    again = await with_django(lambda: changes.send_failed_again(endpoint, 0, datetime.now(UTC)))
    assert again == 1
    assert (await came(receiver, 13))[-1].headers["webhook-id"] == told[0].headers["webhook-id"]
    await until_rows(lambda: all_are(endpoint, DispatchState.DELIVERED, 3))
    [sent] = await with_django(
        lambda: list(Dispatch.objects.filter(endpoint_id=endpoint.id).order_by("position")[:1])
    )
    assert (sent.attempts, len(sent.log)) == (11, 10)


async def test_an_endpoint_that_takes_nothing_for_days_is_paused_until_it_is_resumed(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    receiver.answers = lambda _: Answer(500)
    endpoint, _ = await endpoint_for(tenant_id, receiver, "run.created")
    await engine.put_workflow(tenant_id, workflow())
    rows = Endpoint.objects.filter(id=endpoint.id)
    long_ago = datetime.now(UTC) - schedule.DEAD_AFTER - timedelta(seconds=1)
    await with_django(lambda: rows.update(failing_since=long_ago))
    first = await trigger(engine, tenant_id)
    await until_rows(lambda: rows.get().pause_reason == "FAILING")
    second = await trigger(engine, tenant_id)
    waiting = Dispatch.objects.filter(endpoint_id=endpoint.id, state=DispatchState.PENDING)
    await until_rows(lambda: waiting.count() == 2)
    assert {one.run for one in receiver.so_far()} == {str(first[0])}
    receiver.answers = lambda _: Answer()
    before = len(receiver.so_far())

    def resume() -> None:
        changes.set_paused(rows.get(), is_paused=False, now=datetime.now(UTC))

    await with_django(resume)
    told = await came(receiver, before + 2)
    assert {one.run for one in told[before:]} == {str(first[0]), str(second[0])}
    await until_rows(lambda: rows.get().failing_since is None)


async def test_an_endpoint_that_is_gone_is_paused_at_once(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    receiver.answers = lambda _: Answer(410)
    endpoint, _ = await endpoint_for(tenant_id, receiver, "run.created")
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id)
    rows = Endpoint.objects.filter(id=endpoint.id)
    await until_rows(lambda: rows.get().pause_reason == "GONE")
    assert len(receiver.so_far()) == 1


async def test_an_endpoint_that_asks_to_be_left_alone_is(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    receiver.answers = lambda _: Answer(429, headers={"Retry-After": "600"})
    endpoint, _ = await endpoint_for(tenant_id, receiver, "run.created")
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id)
    rows = Endpoint.objects.filter(id=endpoint.id)
    await until_rows(lambda: rows.get().not_before is not None)
    await trigger(engine, tenant_id)
    receiver.answers = lambda _: Answer()
    await until_rows(lambda: Dispatch.objects.filter(endpoint_id=endpoint.id).count() == 2)
    assert len(receiver.so_far()) == 1
    await with_django(lambda: rows.update(not_before=datetime.now(UTC)))
    await with_django(
        lambda: Dispatch.objects.filter(endpoint_id=endpoint.id).update(due_at=datetime.now(UTC))
    )
    await came(receiver, 3)
