"""ScheduleWorkflow: what the engine is asked, what is answered, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from engine.errors import NotFound
from engine.ids import new_id
from engine.pb import workflows_pb2 as pb
from engine.types import TriggerRequest
from tests.rpc.client import TENANT_ID, Client, refusal, stamp
from tests.rpc.recording_engine import RecordingEngine

SCHEDULE = "WorkflowService/ScheduleWorkflow"
FIRST = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
PAST = datetime(1999, 1, 1, tzinfo=UTC)
PARENT_RUN, PARENT_TASK = new_id(), new_id()


def request(**options: Any) -> pb.ScheduleWorkflowRequest:
    return pb.ScheduleWorkflowRequest(**({"name": "Orders", "schedules": [stamp(FIRST)]} | options))


async def test_every_field_reaches_the_engine_and_the_answer_names_the_schedules(
    client: Client, engine: RecordingEngine
) -> None:
    answer = await client.call(
        SCHEDULE,
        request(
            schedules=[stamp(FIRST), stamp(PAST)],
            input='{"a": 1}',
            additional_metadata='{"b": 2}',
            priority=3,
            parent_id=str(PARENT_RUN),
            parent_task_run_external_id=str(PARENT_TASK),
            child_index=0,
            child_key="key",
        ),
    )
    asked = TriggerRequest(
        "Orders",
        b'{"a": 1}',
        additional_metadata=b'{"b": 2}',
        priority=3,
        parent_run_id=PARENT_RUN,
        parent_task_id=PARENT_TASK,
        child_index=0,
        child_key="key",
    )
    assert engine.calls["schedule_runs"] == [(TENANT_ID, asked, [FIRST, PAST])]
    assert (answer.workflow_id, answer.id) == (str(engine.ids[0]), str(engine.ids[1]))
    assert answer.order == 3
    assert answer.HasField("created_at")
    times = [made.trigger_at.ToDatetime(tzinfo=UTC) for made in answer.scheduled_workflows]
    assert times == [FIRST, PAST]
    assert len({made.id for made in answer.scheduled_workflows}) == 2


async def test_the_least_that_may_be_asked(client: Client, engine: RecordingEngine) -> None:
    await client.call(SCHEDULE, request(parent_id="", child_index=2, child_key="alone"))
    assert engine.calls["schedule_runs"] == [(TENANT_ID, TriggerRequest("Orders"), [FIRST])]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"name": ""}, "name"),
        ({"schedules": []}, "schedules"),
        ({"schedules": [stamp(FIRST)] * 1_001}, "schedules"),
        ({"input": "[]"}, "input"),
        ({"additional_metadata": "x"}, "additional_metadata"),
        ({"priority": 4}, "priority"),
        ({"parent_id": "x"}, "parent_id"),
        ({"parent_id": str(PARENT_RUN)}, "a parent needs"),
        ({"parent_task_run_external_id": str(PARENT_TASK)}, "a parent needs"),
        ({"parent_id": str(PARENT_RUN), "child_index": 1}, "a parent needs"),
    ],
)
async def test_a_wrong_schedule_is_refused_by_field(
    options: dict[str, Any], named: str, client: Client, engine: RecordingEngine
) -> None:
    code, message = await refusal(client.call(SCHEDULE, request(**options)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith(named)
    assert not engine.calls


async def test_an_unknown_workflow_is_not_found(client: Client, engine: RecordingEngine) -> None:
    engine.failure = NotFound("workflow Orders not found")
    assert await refusal(client.call(SCHEDULE, request())) == (
        grpc.StatusCode.NOT_FOUND,
        "workflow Orders not found",
    )
