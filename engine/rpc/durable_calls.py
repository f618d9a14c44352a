"""What workers say about durable tasks, checked, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from engine.domain.durable.calls import (
    CallBody,
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
from engine.domain.durable.results import as_object
from engine.errors import InvalidArgument
from engine.ids import new_id
from engine.pb.v1 import dispatcher_pb2 as pb
from engine.pb.v1.shared import condition_pb2
from engine.rpc.fitting import size_text
from engine.rpc.parse import parse_key, parse_moment, parse_text, parse_uuid
from engine.rpc.triggers import parse_trigger
from engine.runtime.durable.replies import (
    Acknowledged,
    Completed,
    EvictionTaken,
    Failed,
    Registered,
    Reply,
)
from engine.states import ConditionKind

MAX_CHILDREN = 1_000
MAX_CONDITIONS = 1_000
MAX_MEMO_KEY_BYTES = 10_000
_LONGEST_EXPRESSION = 10_000

CallRequest = (
    pb.DurableTaskMemoRequest
    | pb.DurableTaskTriggerRunsRequest
    | pb.DurableTaskWaitForRequest
    | pb.DurableTaskCompleteMemoRequest
)


def parse_call(request: CallRequest, task_id: UUID) -> CallBody:
    if isinstance(request, pb.DurableTaskMemoRequest):
        if len(request.key) > MAX_MEMO_KEY_BYTES:
            raise InvalidArgument(f"key is longer than {MAX_MEMO_KEY_BYTES} bytes")
        return MemoCall(request.key)
    if isinstance(request, pb.DurableTaskTriggerRunsRequest):
        return _parse_spawn(request, task_id)
    if isinstance(request, pb.DurableTaskWaitForRequest):
        label = parse_text(request.label, "label") if request.HasField("label") else None
        return WaitCall(parse_conditions(request.wait_for_conditions), label)
    return MemoResult(Node(request.ref.branch_id, request.ref.node_id), request.payload)


def _parse_spawn(request: pb.DurableTaskTriggerRunsRequest, task_id: UUID) -> SpawnCall:
    """The parent of a durable task's children is the task, whatever the requests say."""
    if len(request.trigger_opts) > MAX_CHILDREN:
        raise InvalidArgument(f"trigger_opts: at most {MAX_CHILDREN} children in one request")
    children = []
    for index, wanted in enumerate(request.trigger_opts):
        wanted.parent_task_run_external_id = str(task_id)
        wanted.ClearField("parent_id")
        children.append(parse_trigger(wanted, f"trigger_opts[{index}]."))
    return SpawnCall(tuple(children))


def parse_conditions(
    conditions: condition_pb2.DurableEventListenerConditions,
) -> tuple[WaitCondition, ...]:
    listed = list(_listed(conditions))
    if not 1 <= len(listed) <= MAX_CONDITIONS:
        raise InvalidArgument(f"conditions: between 1 and {MAX_CONDITIONS} are allowed")
    return tuple(listed)


def _listed(
    conditions: condition_pb2.DurableEventListenerConditions,
) -> Iterator[WaitCondition]:
    for sleep in conditions.sleep_conditions:
        yield WaitCondition(
            ConditionKind.SLEEP,
            _group(sleep.base),
            parse_text(sleep.sleep_for, "sleep_for"),
            _data_key(sleep.base),
        )
    for event in conditions.user_event_conditions:
        since = None
        if event.HasField("consider_events_since"):
            since = parse_moment(event.consider_events_since, "consider_events_since")
        has_scope = event.HasField("event_scope") and bool(event.event_scope)
        yield WaitCondition(
            ConditionKind.EVENT,
            _group(event.base),
            parse_key(event.user_event_key, "user_event_key"),
            _data_key(event.base),
            parse_text(event.base.expression, "expression", _LONGEST_EXPRESSION),
            parse_text(event.event_scope, "event_scope") if has_scope else None,
            since,
        )


def _group(base: condition_pb2.BaseMatchCondition) -> UUID:
    return parse_uuid(base.or_group_id, "or_group_id") if base.or_group_id else new_id()


def _data_key(base: condition_pb2.BaseMatchCondition) -> str:
    return parse_text(base.readable_data_key, "readable_data_key")


# Replies


def to_response(reply: Reply, limit: int) -> pb.DurableTaskResponse:
    """Return the message; what is too large for one becomes an error about its node."""
    message = _to_response(reply)
    if message.ByteSize() <= limit:
        return message
    too_large = (
        f"the result is larger than one message ({size_text(limit)}): have it stored elsewhere"
    )
    if isinstance(reply, Completed):
        task_id, count, node = _address(reply.completion)
        return _failure(Failed(task_id, count, too_large), node)
    assert isinstance(reply, Acknowledged)
    return _failure(Failed(str(reply.task_id), reply.invocation, too_large))


def _to_response(reply: Reply) -> pb.DurableTaskResponse:
    match reply:
        case Registered(worker_id):
            return pb.DurableTaskResponse(
                register_worker=pb.DurableTaskResponseRegisterWorker(worker_id=worker_id)
            )
        case Acknowledged():
            return _acknowledgement(reply)
        case Completed(completion):
            return pb.DurableTaskResponse(entry_completed=_completion(completion))
        case Failed():
            return _failure(reply, reply.node)
        case EvictionTaken(task_id, invocation):
            return pb.DurableTaskResponse(
                eviction_ack=pb.DurableTaskEvictionAckResponse(
                    invocation_count=invocation, durable_task_external_id=str(task_id)
                )
            )
        case _:
            return pb.DurableTaskResponse(
                server_evict=pb.DurableTaskServerEvictNotice(
                    durable_task_external_id=str(reply.task_id),
                    invocation_count=reply.invocation,
                    reason=reply.reason,
                )
            )


def _acknowledgement(reply: Acknowledged) -> pb.DurableTaskResponse:
    task_id, count, body = str(reply.task_id), reply.invocation, reply.body
    match body:
        case MemoAnswer():
            return pb.DurableTaskResponse(
                memo_ack=pb.DurableTaskEventMemoAckResponse(
                    ref=_ref(task_id, count, body.node),
                    memo_already_existed=body.existed,
                    memo_result_payload=body.payload,
                )
            )
        case WaitAnswer(node):
            return pb.DurableTaskResponse(
                wait_for_ack=pb.DurableTaskEventWaitForAckResponse(ref=_ref(task_id, count, node))
            )
        case SpawnAnswer(children):
            return pb.DurableTaskResponse(
                trigger_runs_ack=pb.DurableTaskEventTriggerRunsAckResponse(
                    durable_task_external_id=task_id,
                    invocation_count=count,
                    run_entries=[
                        pb.DurableTaskRunAckEntry(
                            node_id=node.node_id,
                            branch_id=node.branch_id,
                            workflow_run_external_id=str(run_id),
                        )
                        for node, run_id in children
                    ],
                )
            )


def _completion(completion: Completion) -> pb.DurableTaskEventLogEntryCompletedResponse:
    """Clients parse the payload as an object: the value of a memo, which may be anything, is left out."""
    return pb.DurableTaskEventLogEntryCompletedResponse(
        ref=_ref(*_address(completion)),
        payload=as_object(completion.payload),
        is_failure=completion.error is not None,
        error_message=completion.error,
        satisfied_order=completion.order,
    )


def _address(completion: Completion) -> tuple[str, int, Node]:
    return str(completion.task_id), completion.invocation, completion.node


def _failure(failed: Failed, node: Node | None = None) -> pb.DurableTaskResponse:
    """Only a call that does not match its entry carries the entry's place and a type of its own."""
    is_mismatch = failed.node is not None
    return pb.DurableTaskResponse(
        error=pb.DurableTaskErrorResponse(
            ref=_ref(failed.task_id, failed.invocation, node or Node(0, 0)),
            error_type=(
                pb.DURABLE_TASK_ERROR_TYPE_NONDETERMINISM
                if is_mismatch
                else pb.DURABLE_TASK_ERROR_TYPE_UNSPECIFIED
            ),
            error_message=failed.message,
        )
    )


def _ref(task_id: str, invocation: int, node: Node) -> pb.DurableEventLogEntryRef:
    return pb.DurableEventLogEntryRef(
        durable_task_external_id=task_id,
        invocation_count=invocation,
        branch_id=node.branch_id,
        node_id=node.node_id,
    )


def parse_status(
    request: pb.DurableTaskWorkerStatusRequest,
) -> tuple[list[tuple[UUID, int, Node]], dict[tuple[UUID, int], int]]:
    """Return what the worker waits for and what it received; what names no task is left out."""
    entries = [
        (task_id, entry.invocation_count, Node(entry.branch_id, entry.node_id))
        for entry in request.waiting_entries
        if (task_id := _task(entry.durable_task_external_id)) is not None
    ]
    received = {
        (task_id, each.invocation_count): each.highest_received_satisfied_order
        for each in request.received_satisfied_orders
        if (task_id := _task(each.durable_task_external_id)) is not None
    }
    return entries, received


def _task(text: str) -> UUID | None:
    try:
        return parse_uuid(text, "durable_task_external_id")
    except InvalidArgument:
        return None
