"""Engines that send: one may die, several share the work, and what is told of workers and secrets."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engine.errors import Unavailable
from engine.ids import new_id
from engine.models import Worker
from engine.runtime.engine import HatchetEngine
from tests.runtime.harness import (
    FakeWorker,
    engine_on,
    trigger,
    until_rows,
    with_django,
    workflow,
)
from tests.runtime.outgoing import all_are, came, endpoint_for
from tests.webhooks.receiver import PATIENCE_SECONDS, Answer, Received, Receiver
from webhooks.models import Dispatch, DispatchState, Endpoint
from webhooks.outgoing import changes, deliver, record
from webhooks.outgoing.deliver import Deliverer

pytestmark = pytest.mark.usefixtures("quick_sending")


def deliverer_of(engine: HatchetEngine) -> Deliverer:
    [found] = [one._work for one in engine._background if isinstance(one._work, Deliverer)]
    return found


def unreachable_for(times: list[int]) -> Any:
    """Recording that meets as many outages as there are entries."""

    def break_or_work(*given: Any) -> Any:
        if times:
            times.pop()
            raise Unavailable("the database is away")
        return (yield from record.record_attempts(*given))

    return break_or_work


async def test_what_was_sent_and_not_written_down_is_sent_again(
    conninfo: str, tenant_id: UUID, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine dies between the two: its claim runs out, and another engine takes over."""
    endpoint, _ = await endpoint_for(tenant_id, receiver, "run.created")
    claims = Dispatch.objects.filter(endpoint_id=endpoint.id)
    with monkeypatch.context() as patched:
        patched.setattr(deliver, "record_attempts", unreachable_for([1] * 1_000))
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


async def test_what_is_over_when_the_database_is_away_is_written_down_later(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "record_attempts", unreachable_for([1, 2, 3]))
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
    await look_again(engine)
    assert len(receiver.so_far()) == 1


async def look_again(engine: HatchetEngine) -> None:
    """Let the deliverer look again, some times."""
    for _ in range(3):
        deliverer_of(engine)._silence_at = datetime.now(UTC)
        await deliverer_of(engine).tick()


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


async def test_an_endpoint_that_fails_is_sent_one_message_at_a_time(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    answered = threading.Event()

    def answer(_: Received) -> Answer:
        answered.wait(PATIENCE_SECONDS)
        return Answer()

    receiver.answers = answer
    endpoint, _ = await endpoint_for(tenant_id, receiver, "run.created")
    rows = Endpoint.objects.filter(id=endpoint.id)
    await with_django(lambda: rows.update(failing_since=datetime.now(UTC)))
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id, 4)
    await came(receiver, 1)
    await look_again(engine)
    assert len(receiver.so_far()) == 1
    answered.set()
    await until_rows(lambda: all_are(endpoint, DispatchState.DELIVERED, 4))
    assert (await with_django(rows.get)).failing_since is None
