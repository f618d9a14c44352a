"""Two engines on one database are one server to their clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from engine.runtime.controllers import auditor
from engine.runtime.controllers.auditor import Auditor
from engine.runtime.controllers.slow_poll import SlowPoll
from engine.runtime.engine import HatchetEngine
from engine.runtime.scheduler.ownership import Peers
from engine.states import Status
from engine.store import leases
from engine.store.leases import SurveyRow
from engine.store.query import Operation
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
    survey = leases.renew_and_survey
    on_peers, renewed = other.ownership._on_peers, asyncio.Queue[Peers]()

    def see_nobody(engine_id: UUID, *given: Any, **named: Any) -> Operation[list[SurveyRow]]:
        rows = yield from survey(engine_id, *given, **named)
        return [row._replace(engine_count=1) for row in rows] if engine_id == other.id else rows

    def note(peers: Peers) -> None:
        on_peers(peers)
        renewed.put_nowait(peers)

    monkeypatch.setattr(leases, "renew_and_survey", see_nobody)
    monkeypatch.setattr(other.ownership, "_on_peers", note)
    worker = await FakeWorker.connect(owner, tenant_id, slots=1)
    for _ in range(2):  # the first may have begun before
        await renewed.get()
    _, second_id = await trigger(owner, tenant_id, 2)
    first = await worker.next_start()
    worker.engine = other
    await worker.complete(first)
    assert (await worker.next_start()).task_id == second_id


async def test_what_an_engine_did_not_tell_before_it_died_is_found_at_once(
    pair: Pair, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = pair

    async def renew_no_more() -> None:
        """As if it had been killed."""

    monkeypatch.setattr(Auditor, "interval_seconds", 3600.0)
    monkeypatch.setattr(auditor, "_SECOND_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(other.notifier, "hint", lambda _hint: None)
    worker = await FakeWorker.connect(owner, tenant_id, slots=1)
    _, second_id = await trigger(owner, tenant_id, 2)
    first = await worker.next_start()
    await worker.report(first, ReportKind.STARTED)
    worker.engine = other
    await worker.complete(first)
    monkeypatch.setattr(other.ownership, "renew", renew_no_more)
    await owner.database.fetch(leases.end_engine(other.id))
    worker.engine = owner
    assert (await worker.next_start()).task_id == second_id


async def test_an_engine_that_joins_is_sent_hints_at_once(
    engine: HatchetEngine, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: bool(engine.ownership.owners) and not engine.notifier.has_peers)
    monkeypatch.setattr(engine.ownership, "_on_peers", lambda *_: None)
    async with engine_on(conninfo):
        await until(lambda: engine.notifier.has_peers)
