"""Clients that do not read cost the engine a bounded number of bytes each, and miss nothing silently."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from engine.domain.durable.calls import Completion, Node
from engine.errors import ResourceExhausted, Unavailable
from engine.ids import new_id
from engine.runtime.durable.stream import MOST_UNSENT_BYTES
from engine.runtime.engine import HatchetEngine
from engine.runtime.following.followers import Followers, RunFollower
from engine.runtime.outbox import MOST_BYTES
from engine.states import DurableKind
from engine.types import TriggerRequest
from tests.runtime.harness import PATIENCE_SECONDS, FakeWorker, trigger, until, workflow

MEGABYTE = 1_000_000


async def test_a_follower_who_does_not_read_is_cut_off_and_told_so(tenant_id: UUID) -> None:
    streams, run_id, task_id = Followers(), new_id(), new_id()
    follower = RunFollower(tenant_id, ends_with_run=True)
    streams.follow(follower, run_id)
    for index in range(50):
        streams.put_chunk(run_id, task_id, 0, index=index, chunk=f"{index:03}" + "x" * MEGABYTE)
        assert follower.unread.bytes <= MOST_BYTES
    events = follower.events()
    assert [(await anext(events)).event_index for _ in range(16)] == list(range(16))
    with pytest.raises(ResourceExhausted, match="faster than this client reads"):
        await anext(events)


async def test_chunks_that_wait_for_a_missing_one_are_bounded(tenant_id: UUID) -> None:
    streams, run_id, task_id = Followers(), new_id(), new_id()
    follower = RunFollower(tenant_id, ends_with_run=True)
    streams.follow(follower, run_id)
    for index in range(1, 10):
        streams.put_chunk(run_id, task_id, 0, index=index, chunk="x" * MEGABYTE)
    events = follower.events()
    assert [(await anext(events)).event_index for _ in range(9)] == list(range(1, 10))


async def test_results_that_a_waiter_does_not_read_are_looked_up_when_it_does(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id, slots=20)
    run_ids = await trigger(engine, tenant_id, 14)
    early = engine.subscribe_runs(tenant_id)
    for run_id in run_ids:
        early.add(run_id)
    for _ in run_ids:
        await worker.complete(await worker.next_start(), b'"%s"' % (b"x" * 2 * MEGABYTE))
    late = engine.subscribe_runs(tenant_id)
    for run_id in run_ids:
        late.add(run_id)
    for waiter in (early, late):
        await until(lambda waiter=waiter: waiter.unread.bytes > MOST_BYTES // 2)  # type: ignore[misc]
    await until(lambda: not engine.effects.subscriptions.has_any)
    for waiter in (early, late):
        assert waiter.unread.bytes <= MOST_BYTES
        answers = aiter(waiter)
        async with asyncio.timeout(PATIENCE_SECONDS):
            told = [(await anext(answers)).run_id for _ in run_ids]
        assert sorted(told) == sorted(run_ids)
        waiter.close()


async def test_starts_that_a_worker_does_not_read_are_read_from_their_rows_when_it_does(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id, slots=20)
    large = TriggerRequest("work", b'{"text":"%s"}' % (b"x" * 2 * MEGABYTE))
    run_ids = [(await engine.trigger_runs(tenant_id, [large]))[0] for _ in range(14)]
    await until(lambda: len(assigned(engine, tenant_id)) == len(run_ids))
    await until(lambda: worker.session.unread.bytes > MOST_BYTES // 2)
    assert worker.session.unread.bytes <= MOST_BYTES
    started = [(await worker.next_start()).run_id for _ in run_ids]
    assert sorted(started) == sorted(run_ids)


def assigned(engine: HatchetEngine, tenant_id: UUID) -> list[UUID]:
    return list(engine.ownership.owners[tenant_id].unacknowledged)


async def test_a_worker_who_does_not_read_about_its_durable_tasks_is_to_connect_again(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    stream = engine.durable.open_stream(tenant_id)
    for _ in range(100):
        stream.refuse(str(new_id()), 1, "x" * MEGABYTE)
        assert stream.unread.bytes <= MOST_UNSENT_BYTES
    replies = aiter(stream)
    for _ in range(len(stream.unread)):
        await anext(replies)
    with pytest.raises(Unavailable, match="connect again"):
        await anext(replies)
    stream.close()


def signal(task_id: UUID, number: int) -> Completion:
    payload = b"x" * MEGABYTE
    return Completion(
        task_id, 1, Node(0, 0), DurableKind.WAIT_FOR, None, payload, None, str(number)
    )


async def test_events_of_the_older_api_that_are_not_read_stay_awaited(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    listener, task_id = engine.durable.open_listener(tenant_id), new_id()
    for number in range(30):
        listener.add(task_id, str(number))
    for number in range(30):
        listener.offer(signal(task_id, number))
        assert listener.unread.bytes <= MOST_BYTES
    answers = aiter(listener)
    assert [(await anext(answers)).signal for _ in range(16)] == [str(n) for n in range(16)]
    for number in range(16, 30):
        listener.offer(signal(task_id, number))
    assert [(await anext(answers)).signal for _ in range(14)] == [str(n) for n in range(16, 30)]
    listener.close()
