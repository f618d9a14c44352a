"""Messages of durable tasks as workers write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from engine.domain.durable.calls import Node
from engine.ids import new_id
from engine.pb.v1 import dispatcher_pb2 as pb
from engine.pb.v1.shared import condition_pb2, trigger_pb2

TASK, GROUP = new_id(), new_id()
NODE = Node(1, 3)
WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def ref(node: Node = NODE, count: int = 2) -> pb.DurableEventLogEntryRef:
    return pb.DurableEventLogEntryRef(
        durable_task_external_id=str(TASK),
        invocation_count=count,
        branch_id=node.branch_id,
        node_id=node.node_id,
    )


def wait(**conditions: Any) -> dict[str, Any]:
    return {
        "wait_for": pb.DurableTaskWaitForRequest(
            invocation_count=2,
            durable_task_external_id=str(TASK),
            wait_for_conditions=condition_pb2.DurableEventListenerConditions(**conditions),
        )
    }


def sleep(text: str = "5s", group: str = str(GROUP)) -> condition_pb2.SleepMatchCondition:
    base = condition_pb2.BaseMatchCondition(readable_data_key=f"sleep:{text}", or_group_id=group)
    return condition_pb2.SleepMatchCondition(base=base, sleep_for=text)


def event(**options: Any) -> condition_pb2.UserEventMatchCondition:
    base = condition_pb2.BaseMatchCondition(
        readable_data_key="go", or_group_id=str(GROUP), expression="input.x > 1"
    )
    return condition_pb2.UserEventMatchCondition(base=base, **{"user_event_key": "go", **options})


def spawn(*children: trigger_pb2.TriggerWorkflowRequest) -> dict[str, Any]:
    return {
        "trigger_runs": pb.DurableTaskTriggerRunsRequest(
            invocation_count=2, durable_task_external_id=str(TASK), trigger_opts=children
        )
    }


def child(name: str = "child", **options: Any) -> trigger_pb2.TriggerWorkflowRequest:
    return trigger_pb2.TriggerWorkflowRequest(name=name, input='{"a":1}', **options)
