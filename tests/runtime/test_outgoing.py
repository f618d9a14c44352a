"""What happens is told to endpoints: signed, at least once, in order for each run, and to nobody else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from asgiref.sync import sync_to_async
from pytest_django import Settings

from engine.errors import Unavailable
from engine.ids import new_id
from engine.models import Worker
from engine.operations.replay_tasks import replay_tasks
from engine.runtime.engine import HatchetEngine
from engine.types import ReportKind, TriggerRequest
from tests.runtime.harness import (
    FakeWorker,
    engine_on,
    trigger,
    until_rows,
    with_django,
    workflow,
)
from tests.webhooks.receiver import Answer, Answers, Received, Receiver
from webhooks.models import Dispatch, DispatchState, Endpoint, Occurrence
from webhooks.outgoing import changes, deliver, schedule
from webhooks.outgoing.changes import NewEndpoint
from webhooks.outgoing.kinds import KINDS

RUN_KINDS = [kind for kind in KINDS if kind.startswith("run.")]
Result = TypeVar("Result")


@pytest.fixture(autouse=True)
def quick(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback may be sent to, and nothing is waited for that a test does not wait for itself."""
    settings.HATCHET = replace(
        settings.HATCHET, webhooks_allowed_networks=(ip_network("127.0.0.0/8"),)
    )
    monkeypatch.setattr(deliver, "_INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(deliver, "_IDLE_SECONDS", 0.05)
    monkeypatch.setattr(schedule, "DELAYS", (timedelta(milliseconds=1),) * 9)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver(lambda _: Answer())
    yield made
    made.close()


async def endpoint_for(
    tenant_id: UUID, receiver: Receiver, *kinds: str, **options: Any
) -> tuple[Endpoint, str]:
    new = NewEndpoint(url=receiver.url(), kinds=kinds or RUN_KINDS, **options)
    return await with_django(lambda: changes.create_endpoint(tenant_id, new, datetime.now(UTC)))


async def came(receiver: Receiver, count: int) -> list[Received]:
    return await sync_to_async(receiver.wait_for, thread_sensitive=False)(count)


async def complete_runs(engine: HatchetEngine, tenant_id: UUID, count: int = 1) -> list[UUID]:
    worker = await FakeWorker.connect(engine, tenant_id, slots=count)
    runs = await trigger(engine, tenant_id, count)
    for _ in runs:
        await worker.complete(await worker.next_start())
    return runs


def failing(kind: str, times: int) -> Answers:
    """Refuse the first so many messages of a kind."""
    left = [times]

    def answer(received: Received) -> Answer:
        if received.kind == kind and left[0] > 0:
            left[0] -= 1
            return Answer(500, b"not now")
        return Answer()

    return answer


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


def all_are(endpoint: Endpoint, state: DispatchState, count: int) -> bool:
    found = Dispatch.objects.filter(endpoint_id=endpoint.id).values_list("state", flat=True)
    return list(found) == [state] * count


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
    for name in ("work", "other"):
        _, workflow_id = await engine.put_workflow(tenant_id, workflow(name))
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


async def test_what_was_sent_and_not_written_down_is_sent_again(
    conninfo: str, tenant_id: UUID, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine dies between the two: its claim runs out, and another engine takes over."""
    endpoint, _ = await endpoint_for(tenant_id, receiver, "run.created")
    claims = Dispatch.objects.filter(endpoint_id=endpoint.id)
    with monkeypatch.context() as patched:
        patched.setattr(deliver, "record_attempts", unreachable)
        async with engine_on(conninfo) as dying:
            await dying.put_workflow(tenant_id, workflow())
            await trigger(dying, tenant_id)
            [first] = await came(receiver, 1)
        [left] = await with_django(lambda: list(claims.exclude(claim_id=None)))
    assert left.due_at > datetime.now(UTC)
    async with engine_on(conninfo):
        await with_django(lambda: claims.update(due_at=datetime.now(UTC)))
        _, second = await came(receiver, 2)
        await until_rows(lambda: all_are(endpoint, DispatchState.DELIVERED, 1))
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    assert second.body == first.body


def unreachable(*_: Any) -> Any:
    raise Unavailable("the database is away")
    yield


async def test_what_is_over_when_the_database_is_away_is_written_down_later(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    outages = [1, 2, 3]
    works: Callable[..., Any] = deliver.record_attempts

    def break_or_work(*given: Any) -> Any:
        if outages:
            outages.pop()
            raise Unavailable("the database is away")
        return (yield from works(*given))

    monkeypatch.setattr(deliver, "record_attempts", break_or_work)
    endpoint, _ = await endpoint_for(tenant_id, receiver, "run.created")
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id)
    await until_rows(lambda: all_are(endpoint, DispatchState.DELIVERED, 1))
    assert len(receiver.so_far()) == 1


async def test_two_engines_share_the_sending_and_send_each_once(
    conninfo: str, tenant_id: UUID, receiver: Receiver
) -> None:
    async with engine_on(conninfo) as first, engine_on(conninfo) as second:
        endpoint, _ = await endpoint_for(tenant_id, receiver)
        await first.put_workflow(tenant_id, workflow())
        worker = await FakeWorker.connect(first, tenant_id, slots=50)
        runs = [*await trigger(first, tenant_id, 25), *await trigger(second, tenant_id, 25)]
        for _ in runs:
            await worker.complete(await worker.next_start())
        await until_rows(lambda: all_are(endpoint, DispatchState.DELIVERED, 150))
    told = receiver.so_far()
    assert len({one.headers["webhook-id"] for one in told}) == len(told) == 150


async def test_positions_grow_as_messages_become_visible(
    conninfo: str, tenant_id: UUID, receiver: Receiver
) -> None:
    """Whoever reads on from a cursor misses nothing, although occurrences commit in another order."""
    async with engine_on(conninfo) as engine:
        endpoint, _ = await endpoint_for(tenant_id, receiver, "run.created")
        await engine.put_workflow(tenant_id, workflow())
        slow_subject = new_id()
        async with await psycopg.AsyncConnection.connect(conninfo) as slow:
            await slow.execute(
                "INSERT INTO webhooks_occurrence (tenant_id, kind, subject_id, at)"
                " VALUES (%s, 'run.created', %s, now())",
                [tenant_id, slow_subject],
            )
            [run] = await trigger(engine, tenant_id)
            await came(receiver, 1)
        await came(receiver, 2)
        sent = Dispatch.objects.filter(endpoint_id=endpoint.id).order_by("position")
        assert await with_django(lambda: [one.subject_id for one in sent]) == [run, slow_subject]


async def test_workers_are_told_when_they_come_and_go(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    await endpoint_for(tenant_id, receiver, "worker.registered", "worker.connected", "worker.lost")
    worker = await FakeWorker.connect(engine, tenant_id)
    told = await came(receiver, 2)
    assert [one.kind for one in told] == ["worker.registered", "worker.connected"]
    data = told[0].json["data"]
    assert (data["workerId"], data["workerName"]) == (str(worker.id), "fake")
    assert data["actions"] == ["work:run"]
    for _ in range(3):
        await worker.beat()
    await worker.leave()
    assert (await came(receiver, 3))[-1].kind == "worker.lost"


async def test_a_worker_that_falls_silent_is_told_of_once(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    endpoint, _ = await endpoint_for(tenant_id, receiver, "worker.lost")
    worker = await FakeWorker.connect(engine, tenant_id)
    before = Endpoint.objects.filter(id=endpoint.id)
    now = datetime.now(UTC)
    await with_django(lambda: before.update(created_at=now - timedelta(hours=1)))
    silent = Worker.objects.filter(id=worker.id)
    await with_django(lambda: silent.update(last_heartbeat_at=now - timedelta(seconds=31)))
    [told] = await came(receiver, 1)
    assert told.json["data"]["workerId"] == str(worker.id)
    await worker.leave()
    await until_rows(lambda: not silent.get().is_active)
    await changes_settle(engine)
    assert len(receiver.so_far()) == 1


async def changes_settle(engine: HatchetEngine) -> None:
    """Let the deliverer look again, some times."""
    loop = next(one for one in engine._background if one.name == "outgoing webhooks")
    for _ in range(3):
        loop._work._silence_at = datetime.now(UTC)
        await loop.tick()


async def test_during_a_rotation_both_secrets_sign(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    endpoint, old = await endpoint_for(tenant_id, receiver, "run.created")
    await engine.put_workflow(tenant_id, workflow())
    fresh = await with_django(lambda: changes.rotate_secret(endpoint, datetime.now(UTC)))
    await trigger(engine, tenant_id)
    [told] = await came(receiver, 1)
    assert told.is_signed_with(fresh)
    assert told.is_signed_with(old)
    rows = Endpoint.objects.filter(id=endpoint.id)
    await with_django(lambda: rows.update(previous_expires_at=datetime.now(UTC)))
    await trigger(engine, tenant_id)
    told = (await came(receiver, 2))[-1]
    assert told.is_signed_with(fresh)
    assert not told.is_signed_with(old)


async def test_what_is_too_old_is_removed(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, _ = await endpoint_for(tenant_id, receiver, "run.created")
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id)
    await until_rows(lambda: all_are(endpoint, DispatchState.DELIVERED, 1))
    monkeypatch.setattr(deliver, "KEPT", timedelta(seconds=-60))
    for loop in engine._background:
        loop._work._sweep_at = datetime.now(UTC)
    await until_rows(lambda: not Dispatch.objects.filter(endpoint_id=endpoint.id).exists())
