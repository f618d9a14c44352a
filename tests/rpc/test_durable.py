"""Durable tasks on the wire: what workers say, what they are told, and how their streams end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest

from engine.config import MAX_MESSAGE_BYTES
from engine.domain.durable.calls import (
    Call,
    Completion,
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
from engine.pb.v1 import dispatcher_pb2 as pb
from engine.pb.v1.shared import trigger_pb2
from engine.runtime.durable.lanes import Evict
from engine.runtime.durable.replies import (
    Acknowledged,
    Completed,
    EvictionTaken,
    Failed,
    Reply,
    Superseded,
)
from engine.states import ConditionKind, DurableKind
from engine.types import TriggerRequest
from tests.rpc.client import TENANT_ID, Client, refusal, stamp
from tests.rpc.durable import GROUP, NODE, TASK, WHEN, child, event, ref, sleep, spawn, wait
from tests.rpc.recording_engine import RecordingEngine

RUN = new_id()


class Worker:
    """One open DurableTask stream, from the worker's side."""

    def __init__(self, client: Client, engine: RecordingEngine) -> None:
        self.call = client.converse("v1.V1Dispatcher/DurableTask")
        self._stream = engine.durable.stream

    async def say(self, **message: Any) -> None:
        await self.call.write(pb.DurableTaskRequest(**message))

    async def heard(self) -> Any:
        """What the engine was handed next."""
        return await self._stream.requests.get()

    async def tell(self, reply: Reply) -> pb.DurableTaskResponse:
        self._stream.replies.put_nowait(reply)
        return await self.next()

    async def next(self) -> pb.DurableTaskResponse:
        response: pb.DurableTaskResponse = await self.call.read()
        return response


@pytest.fixture
async def worker(client: Client, engine: RecordingEngine) -> AsyncGenerator[Worker]:
    async with asyncio.timeout(20):
        yield Worker(client, engine)


# What workers say


async def test_a_worker_that_registers_is_answered(worker: Worker) -> None:
    await worker.say(register_worker=pb.DurableTaskRequestRegisterWorker(worker_id="w"))
    assert (await worker.next()).register_worker.worker_id == "w"


async def test_memos_and_their_values_are_handed_on(worker: Worker) -> None:
    await worker.say(
        memo=pb.DurableTaskMemoRequest(
            invocation_count=2, durable_task_external_id=str(TASK), key=b"\0key"
        )
    )
    assert await worker.heard() == Call(TENANT_ID, TASK, 2, MemoCall(b"\0key"))
    await worker.say(
        complete_memo=pb.DurableTaskCompleteMemoRequest(ref=ref(), payload=b"7", memo_key=b"k")
    )
    assert await worker.heard() == Call(TENANT_ID, TASK, 2, MemoResult(NODE, b"7"))


async def test_null_is_no_input_of_a_child(worker: Worker) -> None:
    await worker.say(**spawn(trigger_pb2.TriggerWorkflowRequest(name="child", input="null")))
    body = (await worker.heard()).body
    assert isinstance(body, SpawnCall)
    assert body.children[0].input == b"{}"


async def test_waits_are_handed_on(worker: Worker) -> None:
    request = wait(
        sleep_conditions=[sleep()],
        user_event_conditions=[event(event_scope="s", consider_events_since=stamp(WHEN)), event()],
    )
    request["wait_for"].label = "until then"
    await worker.say(**request)
    assert await worker.heard() == Call(
        TENANT_ID,
        TASK,
        2,
        WaitCall(
            (
                WaitCondition(ConditionKind.SLEEP, GROUP, "5s", "sleep:5s"),
                WaitCondition(ConditionKind.EVENT, GROUP, "go", "go", "input.x > 1", "s", WHEN),
                WaitCondition(ConditionKind.EVENT, GROUP, "go", "go", "input.x > 1"),
            ),
            "until then",
        ),
    )


async def test_the_parent_of_children_is_the_task_whatever_the_request_says(
    worker: Worker,
) -> None:
    await worker.say(**spawn(child(child_index=4, parent_task_run_external_id=str(new_id()))))
    call = await worker.heard()
    assert call.body == SpawnCall(
        (TriggerRequest("child", b'{"a":1}', parent_task_id=TASK, child_index=4),)
    )


async def test_evictions_are_handed_on(worker: Worker) -> None:
    request = pb.DurableTaskEvictInvocationRequest(
        invocation_count=2, durable_task_external_id=str(TASK), reason="waits too long"
    )
    await worker.say(evict_invocation=request)
    assert await worker.heard() == Evict(TASK, 2, "waits too long")
    request.ClearField("reason")
    await worker.say(evict_invocation=request)
    assert await worker.heard() == Evict(TASK, 2)


async def test_what_a_worker_waits_for_is_handed_on_and_nonsense_left_out(worker: Worker) -> None:
    def entry(task: str) -> pb.DurableTaskAwaitedCompletedEntry:
        return pb.DurableTaskAwaitedCompletedEntry(
            durable_task_external_id=task, branch_id=1, node_id=3, invocation_count=2
        )

    await worker.say(
        worker_status=pb.DurableTaskWorkerStatusRequest(
            waiting_entries=[entry(str(TASK)), entry("no uuid")],
            received_satisfied_orders=[
                pb.DurableTaskReceivedSatisfiedOrder(
                    durable_task_external_id=str(TASK),
                    invocation_count=2,
                    highest_received_satisfied_order=9,
                )
            ],
        )
    )
    assert await worker.heard() == ([(TASK, 2, NODE)], {(TASK, 2): 9})


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (wait(sleep_conditions=[sleep(group="x")]), 'or_group_id: "x" is not a UUID'),
        (wait(user_event_conditions=[event(user_event_key="a\0")]), "user_event_key contains"),
        (wait(user_event_conditions=[event(user_event_key="")]), "user_event_key is required"),
        (wait(user_event_conditions=[event(event_scope="\0")]), "event_scope contains"),
        (wait(sleep_conditions=[sleep("1s\0")]), "sleep_for contains a null"),
        (wait(), "conditions: between 1 and 1000"),
        (wait(sleep_conditions=[sleep()] * 1001), "conditions: between 1 and 1000"),
        (spawn(*[child()] * 1001), "trigger_opts: at most 1000 children"),
        (spawn(child(), child("a b")), 'trigger_opts[1].name: "a b"'),
        (spawn(trigger_pb2.TriggerWorkflowRequest(name="a", input="[]")), "trigger_opts[0].input"),
    ],
)
async def test_a_call_that_makes_no_sense_is_refused_on_the_stream(
    message: dict[str, Any], named: str, worker: Worker
) -> None:
    await worker.say(**message)
    error = (await worker.next()).error
    assert error.ref == pb.DurableEventLogEntryRef(
        durable_task_external_id=str(TASK), invocation_count=2
    )
    assert error.error_type == pb.DURABLE_TASK_ERROR_TYPE_UNSPECIFIED
    assert named in error.error_message


async def test_a_task_that_is_no_uuid_is_refused_by_the_name_it_has(worker: Worker) -> None:
    for message in (
        {"memo": pb.DurableTaskMemoRequest(invocation_count=5, durable_task_external_id="me")},
        {
            "evict_invocation": pb.DurableTaskEvictInvocationRequest(
                invocation_count=5, durable_task_external_id="me"
            )
        },
        {
            "complete_memo": pb.DurableTaskCompleteMemoRequest(
                ref=pb.DurableEventLogEntryRef(durable_task_external_id="me", invocation_count=5)
            )
        },
    ):
        await worker.say(**message)
        error = (await worker.next()).error
        assert error.ref == pb.DurableEventLogEntryRef(
            durable_task_external_id="me", invocation_count=5
        )
        assert '"me" is not a UUID' in error.error_message


async def test_a_request_that_says_nothing_is_passed_over(worker: Worker) -> None:
    await worker.say()
    await worker.say(register_worker=pb.DurableTaskRequestRegisterWorker(worker_id="w"))
    assert (await worker.next()).register_worker.worker_id == "w"


# What they are told


async def test_acknowledgements(worker: Worker) -> None:
    told = await worker.tell(Acknowledged(TASK, 2, WaitAnswer(NODE)))
    assert told.wait_for_ack.ref == ref()
    told = await worker.tell(Acknowledged(TASK, 2, MemoAnswer(NODE, True, b"7")))
    assert told.memo_ack == pb.DurableTaskEventMemoAckResponse(
        ref=ref(), memo_already_existed=True, memo_result_payload=b"7"
    )
    told = await worker.tell(Acknowledged(TASK, 2, MemoAnswer(NODE, False)))
    assert not told.memo_ack.HasField("memo_result_payload")
    told = await worker.tell(Acknowledged(TASK, 2, SpawnAnswer(((NODE, RUN), (Node(1, 2), TASK)))))
    assert told.trigger_runs_ack == pb.DurableTaskEventTriggerRunsAckResponse(
        durable_task_external_id=str(TASK),
        invocation_count=2,
        run_entries=[
            pb.DurableTaskRunAckEntry(node_id=3, branch_id=1, workflow_run_external_id=str(RUN)),
            pb.DurableTaskRunAckEntry(node_id=2, branch_id=1, workflow_run_external_id=str(TASK)),
        ],
    )


async def test_completions(worker: Worker) -> None:
    done = Completion(TASK, 2, NODE, DurableKind.RUN, 4, b'{"a":1}')
    told = await worker.tell(Completed(done))
    assert told.entry_completed == pb.DurableTaskEventLogEntryCompletedResponse(
        ref=ref(), payload=b'{"a":1}', satisfied_order=4
    )
    told = await worker.tell(Completed(done._replace(payload=b"", error="it broke\nbadly")))
    assert told.entry_completed == pb.DurableTaskEventLogEntryCompletedResponse(
        ref=ref(), is_failure=True, error_message="it broke\nbadly", satisfied_order=4
    )


async def test_the_value_of_a_memo_need_not_be_an_object(worker: Worker) -> None:
    """Clients parse what completes an entry as an object; the value they have from the answer."""
    for value in (b"7", b"{broken"):
        done = Completion(TASK, 2, NODE, DurableKind.MEMO, None, value)
        told = await worker.tell(Completed(done))
        assert told.entry_completed == pb.DurableTaskEventLogEntryCompletedResponse(ref=ref())


async def test_a_call_that_is_another_than_before_is_an_error_of_its_own_kind(
    worker: Worker,
) -> None:
    told = await worker.tell(Failed(str(TASK), 2, "non-determinism error", NODE))
    assert told.error == pb.DurableTaskErrorResponse(
        ref=ref(),
        error_type=pb.DURABLE_TASK_ERROR_TYPE_NONDETERMINISM,
        error_message="non-determinism error",
    )


async def test_evictions_and_deliveries_that_are_over(worker: Worker) -> None:
    told = await worker.tell(EvictionTaken(TASK, 2))
    assert told.eviction_ack == pb.DurableTaskEvictionAckResponse(
        invocation_count=2, durable_task_external_id=str(TASK)
    )
    told = await worker.tell(Superseded(TASK, 1, "over"))
    assert told.server_evict == pb.DurableTaskServerEvictNotice(
        durable_task_external_id=str(TASK), invocation_count=1, reason="over"
    )


async def test_what_no_message_can_carry_is_an_error_about_its_node(worker: Worker) -> None:
    payload = b'{"a":"' + b"x" * MAX_MESSAGE_BYTES + b'"}'
    told = await worker.tell(Completed(Completion(TASK, 2, NODE, DurableKind.RUN, 4, payload)))
    assert (told.error.ref, told.error.error_type) == (
        ref(),
        pb.DURABLE_TASK_ERROR_TYPE_UNSPECIFIED,
    )
    told = await worker.tell(Acknowledged(TASK, 2, MemoAnswer(NODE, True, payload)))
    assert told.error.ref == ref(Node(0, 0))
    assert "larger than one message" in told.error.error_message


# How streams end


async def test_a_worker_that_says_good_bye_gets_a_clean_end(
    worker: Worker, engine: RecordingEngine
) -> None:
    await worker.say(register_worker=pb.DurableTaskRequestRegisterWorker(worker_id="w"))
    await worker.next()
    await worker.call.done_writing()
    assert await worker.call.read() is grpc.aio.EOF  # type: ignore[attr-defined]  # not in the stubs
    assert await worker.call.code() == grpc.StatusCode.OK
    await engine.durable.stream.closed.wait()


async def test_an_engine_that_ends_a_stream_asks_its_worker_to_come_again(
    worker: Worker, engine: RecordingEngine
) -> None:
    await worker.say(register_worker=pb.DurableTaskRequestRegisterWorker(worker_id="w"))
    await worker.next()
    engine.durable.stream.end()
    assert (await refusal(worker.call))[0] == grpc.StatusCode.UNAVAILABLE
    assert engine.durable.stream.closed.is_set()


async def test_a_worker_that_is_gone_leaves_nothing_open(
    worker: Worker, engine: RecordingEngine
) -> None:
    await worker.say(register_worker=pb.DurableTaskRequestRegisterWorker(worker_id="w"))
    await worker.next()
    worker.call.cancel()
    await engine.durable.stream.closed.wait()
