"""Streams of workers with durable tasks, on engines in this process and the real database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engine.domain.definition import Concurrency, StepDefinition, WorkflowDefinition
from engine.domain.durable import (
    Call,
    MemoAnswer,
    MemoCall,
    MemoResult,
    Node,
    SpawnAnswer,
    SpawnCall,
    WaitAnswer,
    WaitCall,
    WaitCondition,
)
from engine.ids import new_id
from engine.operations.evict_tasks import Evicted, Eviction
from engine.runtime.durable.lanes import Evict
from engine.runtime.durable.replies import (
    Acknowledged,
    Completed,
    EvictionTaken,
    Failed,
    Registered,
    Reply,
    Superseded,
)
from engine.runtime.durable.stream import DurableStream
from engine.runtime.engine import HatchetEngine
from engine.states import ConcurrencyStrategy, ConditionKind, DurableKind, TaskEventKind
from engine.types import (
    Action,
    ActionKind,
    EventInput,
    ReportKind,
    TriggerRequest,
    WorkerRegistration,
)
from tests.runtime.harness import (
    PATIENCE_SECONDS,
    FakeWorker,
    engine_on,
    make_tenant,
    result_of,
    settled,
    trigger,
    until,
    workflow,
)

LONG = WorkflowDefinition(
    "work", (StepDefinition("run", "work:run", is_durable=True, slots={"durable": 1}),)
)
ONE, TWO = Node(1, 1), Node(1, 2)


class Worker:
    """A worker with durable slots: its actions, and its durable stream."""

    def __init__(self, engine: HatchetEngine, tenant_id: UUID, worker: FakeWorker) -> None:
        self.engine, self.tenant_id, self.worker = engine, tenant_id, worker
        self.reconnect()

    @classmethod
    async def connect(cls, engine: HatchetEngine, tenant_id: UUID, slots: int = 10) -> Worker:
        registration = WorkerRegistration(
            "durable", ("work:run", "child:run"), {"durable": slots, "default": 10}, {}
        )
        worker_id = await engine.register_worker(tenant_id, registration)
        worker = await FakeWorker.connect(engine, tenant_id, worker_id=worker_id)
        return cls(engine, tenant_id, worker)

    def reconnect(self) -> None:
        """Open a new durable stream; the old one may be open still."""
        self.stream: DurableStream = self.engine.durable.open_stream(self.tenant_id)
        self._replies = aiter(self.stream)

    async def start(self) -> Action:
        action = await self.worker.next_start()
        await self.worker.report(action, ReportKind.STARTED)
        return action

    async def call(self, action: Action, body: Any, invocation: int | None = None) -> None:
        count = invocation or action.durable_invocation or 0
        await self.stream.take(Call(self.tenant_id, action.task_id, count, body))

    async def wait(self, action: Action, *conditions: WaitCondition) -> Node:
        """Wait for something and return where."""
        await self.call(action, WaitCall(conditions))
        told = await self.told(Acknowledged)
        assert isinstance(told.body, WaitAnswer)
        return told.body.node

    async def spawn(self, action: Action, *names: str) -> list[tuple[Node, UUID]]:
        children = tuple(
            TriggerRequest(name, child_index=number) for number, name in enumerate(names)
        )
        await self.call(action, SpawnCall(children))
        told = await self.told(Acknowledged)
        assert isinstance(told.body, SpawnAnswer)
        return list(told.body.children)

    async def say_waiting(
        self, action: Action, nodes: Sequence[Node], received: int | None = None
    ) -> None:
        key = action.task_id, action.durable_invocation or 0
        entries = [(*key, node) for node in nodes]
        await self.stream.take_status(entries, {} if received is None else {key: received})

    async def evict(self, action: Action) -> None:
        await self.stream.take(Evict(action.task_id, action.durable_invocation or 0, "full"))
        assert await self.told(EvictionTaken) == (action.task_id, action.durable_invocation)

    async def told(self, kind: type[Any]) -> Any:
        """The next reply, which must be of this kind."""
        reply = await self.next()
        assert isinstance(reply, kind), reply
        return reply

    async def next(self) -> Reply:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await anext(self._replies)

    async def told_nothing(self) -> None:
        """Everything the stream was asked so far is answered, and nothing else was said."""
        self.stream.register("mark")
        assert await self.next() == Registered("mark")


def event(key: str) -> WaitCondition:
    return WaitCondition(ConditionKind.EVENT, new_id(), key, key)


def sleep(text: str) -> WaitCondition:
    return WaitCondition(ConditionKind.SLEEP, new_id(), text, f"sleep:{text}")


async def history(conninfo: str, action: Action) -> list[TaskEventKind]:
    sql = "SELECT kind FROM engine_taskevent WHERE run_id = %s ORDER BY at, id"
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        rows = await (await connection.execute(sql, [action.run_id])).fetchall()
    return [TaskEventKind(kind) for (kind,) in rows]


@pytest.fixture
def stranger_id(committed_db: None) -> UUID:
    return make_tenant()


async def begin(engine: HatchetEngine, tenant_id: UUID, slots: int = 10) -> tuple[Worker, Action]:
    """A durable task that runs on a worker."""
    await engine.put_workflow(tenant_id, LONG)
    await engine.put_workflow(tenant_id, workflow("child"))
    worker = await Worker.connect(engine, tenant_id, slots)
    await trigger(engine, tenant_id)
    return worker, await worker.start()


async def push(engine: HatchetEngine, tenant_id: UUID, key: str) -> None:
    await engine.push_events(tenant_id, [EventInput(key, b'{"a":1}')])


async def test_a_wait_is_acknowledged_and_then_completed(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    assert action.durable_invocation == 1
    assert await worker.wait(action, event("go")) == ONE
    await push(engine, tenant_id, "go")
    done = (await worker.told(Completed)).completion
    assert (done.node, done.invocation, done.order) == (ONE, 1, 1)
    assert done.payload == b'{"CREATE":{"go":[{"a":1}]}}'
    assert await worker.wait(action, sleep("0s")) == TWO
    assert (await worker.told(Completed)).completion.order == 2


async def test_a_sleep_ends_soon_after_its_time(engine: HatchetEngine, tenant_id: UUID) -> None:
    worker, action = await begin(engine, tenant_id)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await worker.wait(action, sleep("700ms"))
    await worker.told(Completed)
    assert 0.7 <= loop.time() - began < 3.0


async def test_memos_are_kept(engine: HatchetEngine, tenant_id: UUID) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.call(action, MemoCall(b"k"))
    told = await worker.told(Acknowledged)
    assert told.body == MemoAnswer(ONE, existed=False)
    await worker.call(action, MemoResult(ONE, b"7"))
    done = (await worker.told(Completed)).completion
    assert (done.kind, done.node, done.order) == (DurableKind.MEMO, ONE, None)


async def test_a_child_is_completed_once_somebody_waits_for_it(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    ((node, run_id),) = await worker.spawn(action, "child")
    await worker.worker.complete(await worker.start(), b'{"n":1}')
    await result_of(engine, tenant_id, run_id)
    await worker.wait(action, sleep("0s"))
    assert (await worker.told(Completed)).completion.node == TWO
    await worker.say_waiting(action, [node])
    done = (await worker.told(Completed)).completion
    assert (done.node, done.order, done.payload) == (node, 2, b'{"n":1}')


async def test_an_awaited_child_is_completed_when_it_ends(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    ((node, _),) = await worker.spawn(action, "child")
    await worker.say_waiting(action, [node])
    child = await worker.start()
    await worker.worker.report(child, ReportKind.FAILED, b"it broke")
    done = (await worker.told(Completed)).completion
    assert (done.node, done.error) == (node, "it broke")


async def test_a_delivery_that_is_over_is_told_so_with_the_count_it_gave(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.call(action, WaitCall((sleep("1h"),)), invocation=7)
    told = await worker.told(Superseded)
    assert (told.task_id, told.invocation) == (action.task_id, 7)
    await worker.stream.take_status([(action.task_id, 9, ONE)], {})
    assert (await worker.told(Superseded)).invocation == 9


async def test_a_call_that_is_another_than_before_is_named(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, sleep("1h"))
    await worker.worker.complete(action)
    await engine.replay(tenant_id, [action.task_id])
    again = await worker.start()
    assert (again.retry_count, again.durable_invocation) == (1, 2)
    await worker.call(again, WaitCall((sleep("2h"),)))
    told = await worker.told(Failed)
    assert told.node == ONE and "non-determinism error" in told.message
    assert "received: sleep(2h)" in told.message


async def test_tasks_that_are_not_the_tenants_are_unknown(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID
) -> None:
    _, action = await begin(engine, tenant_id)
    stranger = await Worker.connect(engine, stranger_id)
    for task_id in (action.task_id, new_id()):
        await stranger.stream.take(Call(stranger.tenant_id, task_id, 1, MemoCall(b"k")))
        assert "no such durable task" in (await stranger.told(Failed)).message
        await stranger.stream.take(Evict(task_id, 1))
        assert "no such durable task" in (await stranger.told(Failed)).message
        await stranger.stream.take_status([(task_id, 1, ONE)], {})
        await stranger.told(Superseded)


async def test_calls_of_one_task_are_answered_in_their_order(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    for _ in range(20):
        await worker.call(action, MemoCall(b"k"))
    told = [await worker.told(Acknowledged) for _ in range(20)]
    assert [each.body.node.node_id for each in told] == list(range(1, 21))


async def test_a_call_that_breaks_is_answered_and_so_are_those_behind_it(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, action = await begin(engine, tenant_id)

    async def break_once(_request: object) -> None:
        monkeypatch.undo()
        raise RuntimeError("a bug")

    monkeypatch.setattr(worker.stream, "_carry_out", break_once)
    for _ in range(2):
        await worker.call(action, MemoCall(b"k"))
    assert (await worker.told(Failed)).message == "internal error"
    assert (await worker.told(Acknowledged)).body.node == ONE


async def test_a_replay_is_told_of_its_waits_even_if_the_worker_does_not_name_them(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    await worker.evict(action)
    await push(engine, tenant_id, "go")
    again = await worker.start()
    assert await worker.wait(again, event("go")) == node
    async with asyncio.timeout(4):  # before the stream looks by itself
        assert (await worker.told(Completed)).completion.node == node


async def evict_unseen(engine: HatchetEngine, action: Action) -> None:
    """Evict a task whose completions are thought to have arrived."""
    item = Eviction(action.tenant_id, action.task_id, action.durable_invocation or 0, "", ())
    assert await engine.durable.evictions.submit(item) is Evicted.EVICTED


async def test_who_comes_back_and_waits_for_what_is_complete_gets_the_task_again(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    await push(engine, tenant_id, "go")
    await worker.told(Completed)
    await evict_unseen(engine, action)
    worker.reconnect()
    await worker.say_waiting(action, [node])
    await worker.told(Superseded)
    assert (await worker.start()).durable_invocation == 2


async def test_who_comes_back_and_waits_for_what_is_to_come_does_not(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    await evict_unseen(engine, action)
    worker.reconnect()
    await worker.say_waiting(action, [node])
    await worker.told(Superseded)
    await push(engine, tenant_id, "go")
    assert (await worker.start()).durable_invocation == 2
    assert (await history(conninfo, action)).count(TaskEventKind.DURABLE_RESTORING) == 1


async def test_a_stream_that_is_drained_answers_first(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    for _ in range(20):
        await worker.call(action, MemoCall(b"k"))
    await engine.durable.drain()
    told = [reply async for reply in worker.stream]
    assert [type(reply) for reply in told] == [Acknowledged] * 20


# Evictions


async def test_an_eviction_frees_the_slot_and_an_event_brings_the_task_back(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id, slots=1)
    await worker.wait(action, event("go"))
    (other_id,) = await trigger(engine, tenant_id)
    await worker.evict(action)
    other = await worker.start()
    assert other.task_id == other_id
    await push(engine, tenant_id, "go")
    await worker.worker.complete(other)
    again = await worker.start()
    assert (again.task_id, again.retry_count, again.durable_invocation) == (action.task_id, 0, 2)
    assert await worker.wait(again, event("go")) == ONE
    assert (await worker.told(Completed)).completion.invocation == 2
    await worker.worker.complete(again)
    await result_of(engine, tenant_id, action.task_id)
    kinds = await history(conninfo, action)
    assert kinds.count(TaskEventKind.STARTED) == kinds.count(TaskEventKind.ASSIGNED) == 2


async def test_what_came_while_a_task_was_given_up_brings_it_back_at_once(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, sleep("0s"))
    await worker.stream.take(Evict(action.task_id, 1))  # before it has read that the sleep is over
    await worker.told(Completed)
    await worker.told(EvictionTaken)
    assert (await worker.start()).durable_invocation == 2


async def test_a_worker_that_goes_on_after_giving_a_task_up_gets_it_back(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    await worker.evict(action)
    await worker.call(action, MemoCall(b"k"))
    assert (await worker.told(Superseded)).invocation == 1
    assert (await worker.start()).durable_invocation == 2


async def test_restoring_is_idempotent(engine: HatchetEngine, tenant_id: UUID) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    assert await engine.durable.restore(tenant_id, action.task_id)
    await worker.evict(action)
    assert await engine.durable.restore(tenant_id, action.task_id)
    assert await engine.durable.restore(tenant_id, action.task_id)
    assert (await worker.start()).durable_invocation == 2
    assert not await engine.durable.restore(new_id(), action.task_id)


async def test_a_cancellation_names_the_delivery(engine: HatchetEngine, tenant_id: UUID) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    await worker.evict(action)
    await engine.durable.restore(tenant_id, action.task_id)
    again = await worker.start()
    await engine.cancel(tenant_id, [action.task_id])
    stop = await worker.worker.next()
    assert (stop.kind, stop.task_id) == (ActionKind.CANCEL, action.task_id)
    assert stop.durable_invocation == again.durable_invocation == 2


# Streams that come and go


async def test_a_new_stream_hears_what_the_worker_still_waits_for(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, sleep("0s"))
    await worker.told(Completed)
    node = await worker.wait(action, event("go"))
    worker.stream.close()
    await push(engine, tenant_id, "go")
    worker.reconnect()
    await worker.say_waiting(action, [node], received=1)
    done = (await worker.told(Completed)).completion
    assert (done.node, done.order) == (node, 2)


async def test_an_old_stream_does_not_keep_a_new_one_from_hearing(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    worker.reconnect()
    await worker.say_waiting(action, [node])
    await until(lambda: len(engine.durable.routes._by_task[action.task_id]) == 2)
    await push(engine, tenant_id, "go")
    assert (await worker.told(Completed)).completion.node == node


async def test_what_no_hint_told_is_found(engine: HatchetEngine, tenant_id: UUID) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    followers, engine.aftermath.durable._by_task = engine.aftermath.durable._by_task, {}
    await push(engine, tenant_id, "go")
    engine.aftermath.durable._by_task = followers
    await worker.told_nothing()
    await worker.stream.audit()
    await worker.told(Completed)


async def test_an_audit_tells_deliveries_that_are_over(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    followers, engine.aftermath.durable._by_task = engine.aftermath.durable._by_task, {}
    await engine.cancel(tenant_id, [action.task_id])
    engine.aftermath.durable._by_task = followers
    await worker.stream.audit()
    assert (await worker.told(Superseded)).task_id == action.task_id


async def test_an_event_at_another_engine_reaches_the_stream_here(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as other:
        await settled(tenant_id, engine, other)
        worker, action = await begin(engine, tenant_id)
        await worker.wait(action, event("go"))
        await push(other, tenant_id, "go")
        await worker.told(Completed)


async def test_a_task_evicted_at_one_engine_goes_on_at_another(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as second:
        _, bystander = await settled(tenant_id, engine, second)
        worker, action = await begin(bystander, tenant_id, slots=1)
        await worker.wait(action, event("go"))
        await worker.evict(action)
        await push(bystander, tenant_id, "go")
        again = await worker.start()
        assert (again.task_id, again.durable_invocation) == (action.task_id, 2)
        assert (await history(conninfo, action)).count(TaskEventKind.STARTED) == 2


# The older way


async def test_a_wait_with_a_key_is_heard_of_once(engine: HatchetEngine, tenant_id: UUID) -> None:
    _, action = await begin(engine, tenant_id)
    listener = engine.durable.open_listener(tenant_id)
    listener.add(action.task_id, "first")
    await engine.durable.register_signal(tenant_id, action.task_id, "first", [event("go")])
    await push(engine, tenant_id, "go")
    async with asyncio.timeout(PATIENCE_SECONDS):
        heard = await anext(aiter(listener))
    assert (heard.task_id, heard.signal) == (action.task_id, "first")
    assert heard.payload == b'{"CREATE":{"go":[{"a":1}]}}'
    late = engine.durable.open_listener(tenant_id)
    late.add(action.task_id, "first")
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await anext(aiter(late))).signal == "first"


# Concurrency groups


@pytest.mark.parametrize("is_distrusted", [False, True])
async def test_an_evicted_task_keeps_its_place_in_its_concurrency_group(
    is_distrusted: bool, engine: HatchetEngine, tenant_id: UUID
) -> None:
    limit = Concurrency("'one'", 1, ConcurrencyStrategy.GROUP_ROUND_ROBIN)
    (step,) = LONG.steps
    await engine.put_workflow(
        tenant_id, WorkflowDefinition("work", (replace(step, concurrency=(limit,)),))
    )
    worker = await Worker.connect(engine, tenant_id)
    first, second = await trigger(engine, tenant_id, 2)
    action = await worker.start()
    assert action.task_id == first
    await worker.wait(action, event("go"))
    await worker.evict(action)
    if is_distrusted:
        engine.ownership.distrust()
        await until(lambda: not engine.ownership.owners[tenant_id].is_ready)
        await until(lambda: engine.ownership.owners[tenant_id].is_ready)
    await push(engine, tenant_id, "go")
    again = await worker.start()
    assert (again.task_id, again.durable_invocation) == (first, 2)
    await worker.worker.complete(again)
    assert (await worker.start()).task_id == second
