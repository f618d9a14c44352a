"""Engines that encrypt payloads and keep large ones as objects, also while the store is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from engine.domain.payload import reason_of
from engine.errors import PayloadsAway, ResourceExhausted
from engine.models import Payload, Run
from engine.runtime.controllers import stray_objects
from engine.runtime.controllers.stray_objects import StrayObjects
from engine.runtime.engine import HatchetEngine
from engine.runtime.writers import large_payloads
from engine.states import PayloadKind
from engine.store import sealing
from engine.types import EventInput, ReportKind, TaskReport, TriggerRequest
from engine.vault.envelope import is_sealed
from engine.vault.objects import is_reference
from engine.vault.s3 import S3
from tests.amazon import amazon
from tests.recorder import Recorder
from tests.runtime.harness import (
    FakeWorker,
    engine_on,
    result_of,
    until_rows,
    with_django,
    workflow,
)
from tests.sealed import MASTER, THRESHOLD, Breakable, sealing_with

LARGE = orjson.dumps({"large": "x" * THRESHOLD})
SMALL = b'{"small": 1}'


@pytest.fixture
def store(tmp_path: Path, no_keys_left: None) -> Iterator[Breakable]:
    made = Breakable(tmp_path)
    with sealing_with(MASTER, store=made):
        yield made


@pytest.fixture
async def engine(
    conninfo: str, store: Breakable, tenant_id: UUID, recorder: Recorder
) -> AsyncIterator[HatchetEngine]:
    async with engine_on(conninfo) as running:
        yield running


async def trigger(engine: HatchetEngine, tenant_id: UUID, given: bytes) -> UUID:
    (run_id,) = await engine.trigger_runs(tenant_id, [TriggerRequest("work", given)])
    return run_id


async def put_workflow(engine: HatchetEngine, tenant_id: UUID) -> None:
    await engine.put_workflow(tenant_id, workflow())


def stored(owner_id: UUID, kind: PayloadKind) -> bytes:
    return bytes(Payload.objects.get(owner_id=owner_id, kind=kind).data)


@pytest.mark.parametrize("is_queued", [True, False])
async def test_a_large_run_goes_through(
    engine: HatchetEngine, tenant_id: UUID, is_queued: bool
) -> None:
    await put_workflow(engine, tenant_id)
    worker = None if is_queued else await FakeWorker.connect(engine, tenant_id)
    run_id = await trigger(engine, tenant_id, LARGE)
    worker = worker or await FakeWorker.connect(engine, tenant_id)
    action = await worker.next_start()
    assert orjson.loads(action.payload)["input"] == orjson.loads(LARGE)
    await worker.complete(action, LARGE)
    finished = await result_of(engine, tenant_id, run_id)
    assert [result.output for result in finished.results] == [LARGE]
    for kind in (PayloadKind.INPUT, PayloadKind.OUTPUT):
        assert is_reference(await with_django(partial(stored, run_id, kind)))


async def test_small_ones_are_encrypted_in_their_rows(
    engine: HatchetEngine, tenant_id: UUID, store: Breakable
) -> None:
    await put_workflow(engine, tenant_id)
    run_id = await trigger(engine, tenant_id, SMALL)
    worker = await FakeWorker.connect(engine, tenant_id)
    action = await worker.next_start()
    assert orjson.loads(action.payload)["input"] == {"small": 1}
    await worker.complete(action, SMALL)
    for kind in (PayloadKind.INPUT, PayloadKind.OUTPUT):
        assert is_sealed(await with_django(partial(stored, run_id, kind)))
    assert store.page("") == []


async def test_what_completes_while_the_store_is_away_waits_for_it(
    engine: HatchetEngine, tenant_id: UUID, store: Breakable, recorder: Recorder
) -> None:
    await put_workflow(engine, tenant_id)
    worker = await FakeWorker.connect(engine, tenant_id)
    large, small = [await trigger(engine, tenant_id, SMALL) for _ in range(2)]
    actions = {action.run_id: action for action in [await worker.next_start() for _ in range(2)]}
    store.is_away = True
    completing = asyncio.create_task(worker.complete(actions[large], LARGE))
    await recorder.wait_for("payloads.away")
    # Who does not need the store is not held up.
    await worker.complete(actions[small], SMALL)
    assert not completing.done()
    store.is_away = False
    await completing
    finished = await result_of(engine, tenant_id, large)
    assert [result.output for result in finished.results] == [LARGE]


async def test_a_store_that_stays_away_is_told_to_callers_and_nothing_is_lost(
    engine: HatchetEngine, tenant_id: UUID, store: Breakable, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_workflow(engine, tenant_id)
    worker = await FakeWorker.connect(engine, tenant_id)
    run_id = await trigger(engine, tenant_id, SMALL)
    action = await worker.next_start()
    monkeypatch.setattr(large_payloads, "PATIENCE_SECONDS", 0.0)
    store.is_away = True
    with pytest.raises(PayloadsAway):
        await worker.complete(action, LARGE)
    with pytest.raises(PayloadsAway):
        await trigger(engine, tenant_id, LARGE)
    with pytest.raises(PayloadsAway):
        await engine.push_events(tenant_id, [EventInput("paid", LARGE)])
    report = TaskReport(tenant_id, action.task_id, ReportKind.COMPLETED, 0, LARGE)
    with pytest.raises(PayloadsAway):
        await engine.report_batch([report])
    monkeypatch.setattr(large_payloads, "MOST_WAITING", 0)
    with pytest.raises(ResourceExhausted):
        await worker.complete(action, LARGE)
    monkeypatch.undo()
    store.is_away = False
    await worker.complete(action, LARGE)  # as the client does again
    finished = await result_of(engine, tenant_id, run_id)
    assert [result.output for result in finished.results] == [LARGE]
    assert await with_django(lambda: Run.objects.filter(tenant_id=tenant_id).count()) == 1


async def test_a_start_waits_for_the_store_and_holds_up_no_other(
    engine: HatchetEngine, tenant_id: UUID, store: Breakable, recorder: Recorder
) -> None:
    await put_workflow(engine, tenant_id)
    large, small = [await trigger(engine, tenant_id, given) for given in (LARGE, SMALL)]
    forget(store)
    store.is_away = True
    worker = await FakeWorker.connect(engine, tenant_id)
    action = await worker.next_start()
    assert action.run_id == small
    await recorder.wait_for("payloads.away")
    store.is_away = False
    action = await worker.next_start()
    assert action.run_id == large
    assert orjson.loads(action.payload)["input"] == orjson.loads(LARGE)


def forget(store: Breakable) -> None:
    """Let the process remember nothing of what it stored."""
    sealer = sealing.sealer()
    assert sealer is not None
    assert sealer.objects is not None
    sealer.objects._read._values.clear()


async def test_a_start_that_is_cancelled_before_it_is_complete_is_not_sent(
    engine: HatchetEngine, tenant_id: UUID, store: Breakable, recorder: Recorder
) -> None:
    await put_workflow(engine, tenant_id)
    large = await trigger(engine, tenant_id, LARGE)
    forget(store)
    store.is_away = True
    worker = await FakeWorker.connect(engine, tenant_id)
    await recorder.wait_for("payloads.away")
    await engine.cancel(tenant_id, [large])
    assert (await worker.next()).task_id == large  # to be cancelled
    store.is_away = False
    small = await trigger(engine, tenant_id, SMALL)
    assert (await worker.next_start()).run_id == small


async def test_an_object_that_is_gone_reaches_the_dispatcher_as_a_reason(
    engine: HatchetEngine, tenant_id: UUID, store: Breakable
) -> None:
    await put_workflow(engine, tenant_id)
    await trigger(engine, tenant_id, LARGE)
    forget(store)
    store.delete(store.page(""))
    worker = await FakeWorker.connect(engine, tenant_id)
    action = await worker.next_start()
    assert "not in the store any more" in (reason_of(action.payload) or "")


async def test_a_result_that_is_gone_is_an_error_to_whoever_waits_for_it(
    engine: HatchetEngine, tenant_id: UUID, store: Breakable
) -> None:
    await put_workflow(engine, tenant_id)
    worker = await FakeWorker.connect(engine, tenant_id)
    run_id = await trigger(engine, tenant_id, SMALL)
    await worker.complete(await worker.next_start(), LARGE)
    forget(store)
    store.delete(store.page(""))
    finished = await result_of(engine, tenant_id, run_id)
    (result,) = finished.results
    assert result.output is None
    assert "not in the store any more" in (result.error or "")


async def test_objects_that_no_row_refers_to_are_removed(
    engine: HatchetEngine, tenant_id: UUID, store: Breakable, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_workflow(engine, tenant_id)
    kept, removed = [await trigger(engine, tenant_id, LARGE) for _ in range(2)]
    names = {key.split("/")[1]: key for key in store.page("")}
    await with_django(lambda: Payload.objects.filter(owner_id=removed).delete())
    store.put("not/one/of-ours", b"")
    sweeper = StrayObjects(engine.database, store)
    assert await sweeper.tick()
    assert len(store.page("")) == 3  # their transactions might still commit
    assert not await sweeper.tick()
    monkeypatch.setattr(stray_objects, "STRAY_AFTER", timedelta(seconds=-5))
    assert await sweeper.tick()
    assert store.page("") == sorted([names[str(kept)], "not/one/of-ours"])


async def test_children_of_a_large_event_have_objects_of_their_own(
    engine: HatchetEngine, tenant_id: UUID, store: Breakable
) -> None:
    await engine.put_workflow(tenant_id, replace(workflow(), event_triggers=("paid",)))
    (record,) = await engine.push_events(tenant_id, [EventInput("paid", LARGE)])
    await until_rows(lambda: Run.objects.filter(event_id=record.event_id).exists())
    worker = await FakeWorker.connect(engine, tenant_id)
    action = await worker.next_start()
    assert orjson.loads(action.payload)["input"] == orjson.loads(LARGE)
    owners = {key.split("/")[1] for key in store.page("")}
    assert owners == {str(record.event_id), str(action.run_id)}


async def test_a_bucket_whose_server_is_stopped_holds_up_what_needs_it(
    conninfo: str,
    tenant_id: UUID,
    recorder: Recorder,
    no_keys_left: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with amazon(monkeypatch) as aws, sealing_with(MASTER, store=S3(aws.bucket)):
        async with engine_on(conninfo) as engine:
            await put_workflow(engine, tenant_id)
            worker = await FakeWorker.connect(engine, tenant_id)
            run_id = await trigger(engine, tenant_id, LARGE)
            action = await worker.next_start()
            await asyncio.to_thread(aws.stop)
            completing = asyncio.create_task(worker.complete(action, LARGE))
            await recorder.wait_for("payloads.away")
            assert not completing.done()
            await asyncio.to_thread(aws.start)
            await completing
            finished = await result_of(engine, tenant_id, run_id)
            assert [result.output for result in finished.results] == [LARGE]
