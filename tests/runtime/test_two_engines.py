"""Two engines on one database are one server to their clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from engine.runtime.controllers.slow_poll import SlowPoll
from engine.runtime.engine import HatchetEngine
from engine.states import Status
from engine.types import ActionKind, ReportKind, StreamEventKind
from tests.runtime.harness import (
    FakeWorker,
    engine_on,
    result_of,
    settled,
    trigger,
    until,
    workflow,
)

Pair = tuple[HatchetEngine, HatchetEngine]


@pytest.fixture
async def pair(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    """The engine that schedules the tenant, and the other one. Polls do not help hints along."""
    monkeypatch.setattr(SlowPoll, "interval_seconds", 3600.0)
    async with engine_on(conninfo) as second:
        owner, other = await settled(tenant_id, engine, second)
        await owner.put_workflow(tenant_id, workflow())
        yield owner, other


async def test_work_crosses_over_in_every_direction(pair: Pair, tenant_id: UUID) -> None:
    owner, other = pair
    worker = await FakeWorker.connect(other, tenant_id, slots=2)
    for triggering, waiting in ((owner, other), (other, owner), (other, other)):
        (run_id,) = await trigger(triggering, tenant_id)
        result = asyncio.create_task(result_of(waiting, tenant_id, run_id))
        action = await worker.next_start()
        assert action.task_id == run_id
        await worker.report(action, ReportKind.STARTED)
        await worker.complete(action, b'{"ok":1}')
        (task,) = (await result).results
        assert (task.status, task.output) == (Status.COMPLETED, b'{"ok":1}')
    machine = owner.ownership.owners[tenant_id].machine
    await until(lambda: machine.workers.free_slots(worker.id) == {"default": 2})


async def test_a_cancellation_reaches_the_worker_at_the_other_engine(
    pair: Pair, tenant_id: UUID
) -> None:
    owner, other = pair
    worker = await FakeWorker.connect(other, tenant_id)
    (run_id,) = await trigger(owner, tenant_id)
    await worker.next_start()
    await owner.cancel(tenant_id, [run_id])
    action = await worker.next()
    assert (action.kind, action.task_id, action.retry_count) == (ActionKind.CANCEL, run_id, 0)


async def test_streamed_text_arrives_whole_and_in_order(pair: Pair, tenant_id: UUID) -> None:
    owner, other = pair
    worker = await FakeWorker.connect(other, tenant_id)
    (run_id,) = await trigger(owner, tenant_id)
    action = await worker.next_start()
    events = await owner.stream_run_events(tenant_id, run_id)
    texts = ["start", 'ü🪓\x01"\\' * 4000, "", "a" * 9001, "end"]
    for index, text in enumerate(texts):
        await other.put_stream_event(tenant_id, action.task_id, text, index)
    await worker.complete(action)
    async with asyncio.timeout(20):
        heard = [event async for event in events]
    chunks = [event for event in heard if event.kind is StreamEventKind.STREAM]
    assert [event.payload for event in chunks] == texts
    assert [event.event_index for event in chunks] == list(range(len(texts)))
    assert heard[-1].hangup and heard[-1].is_run


async def test_one_goes_and_the_other_goes_on(conninfo: str, tenant_id: UUID) -> None:
    async with engine_on(conninfo) as staying:
        leaving = HatchetEngine(conninfo)
        await leaving.start()
        owner, _ = await settled(tenant_id, staying, leaving)
        await owner.put_workflow(tenant_id, workflow())
        worker = await FakeWorker.connect(staying, tenant_id, slots=1)
        first, second = await trigger(leaving, tenant_id, 2)
        action = await worker.next_start()
        leaving.stop_scheduling()
        await leaving.stop()
        await worker.complete(action)
        action = await worker.next_start()
        assert {first, second} >= {action.task_id}
        await worker.complete(action)
        for run_id in (first, second):
            result = await result_of(staying, tenant_id, run_id)
            assert result.results[0].status is Status.COMPLETED


async def test_an_engine_tells_an_owner_it_has_not_heard_of_what_ended(
    pair: Pair, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = pair
    monkeypatch.setattr(other.hint_reader, "receive", lambda _payload: None)
    on_peers, is_renewed = other.ownership._on_peers, asyncio.Event()

    def see_nobody(_engine_count: int, *owns_all: bool) -> None:
        on_peers(1, *owns_all)
        is_renewed.set()

    monkeypatch.setattr(other.ownership, "_on_peers", see_nobody)
    worker = await FakeWorker.connect(owner, tenant_id, slots=1)
    await is_renewed.wait()
    _, second_id = await trigger(owner, tenant_id, 2)
    first = await worker.next_start()
    worker.engine = other
    await worker.complete(first)
    assert (await worker.next_start()).task_id == second_id


async def test_an_engine_that_joins_is_sent_hints_at_once(
    engine: HatchetEngine, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: bool(engine.ownership.owners) and not engine.notifier.has_peers)
    monkeypatch.setattr(engine.ownership, "_on_peers", lambda *_: None)
    async with engine_on(conninfo):
        await until(lambda: engine.notifier.has_peers)
