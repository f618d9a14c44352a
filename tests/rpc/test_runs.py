"""Acting on runs by id or filter, and reading them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from engine.errors import Collision, IdempotencyCollision, NotFound
from engine.ids import new_id
from engine.pb.v1 import workflows_pb2 as pb
from engine.states import Status
from engine.types import RunDetails, RunFilter, TaskDetails
from tests.rpc.client import TENANT_ID, Client, refusal, stamp
from tests.rpc.recording_engine import RecordingEngine
from tests.rpc.test_triggers import details_of

SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
ACTIONS = [
    ("CancelTasks", pb.CancelTasksRequest, "cancel", "cancelled_tasks"),
    ("ReplayTasks", pb.ReplayTasksRequest, "replay", "replayed_tasks"),
]


@pytest.mark.parametrize(("method", "request_type", "asked", "answered"), ACTIONS)
async def test_runs_and_tasks_are_chosen_by_id(
    method: str,
    request_type: Any,
    asked: str,
    answered: str,
    client: Client,
    engine: RecordingEngine,
) -> None:
    ids = [new_id(), new_id()]
    answer = await client.call(
        f"v1.AdminService/{method}", request_type(external_ids=map(str, ids))
    )
    assert engine.calls == {asked: [(TENANT_ID, ids)]}
    assert list(getattr(answer, answered)) == [str(task_id) for task_id in ids]


async def test_a_refused_replay_names_the_run_that_holds_the_key(
    client: Client, engine: RecordingEngine
) -> None:
    held, ours, replayed = new_id(), new_id(), new_id()
    engine.failure = IdempotencyCollision([Collision(held, ours)], [replayed])
    details = []
    for ids in ([ours], [ours, replayed]):
        request = pb.ReplayTasksRequest(external_ids=map(str, ids))
        call = client.call("v1.AdminService/ReplayTasks", request)
        code, message, rich = await details_of(call)
        assert (code, message) == (grpc.StatusCode.ALREADY_EXISTS, "idempotency key collision")
        details += rich.details
    names = [detail.type_url.removeprefix("type.googleapis.com/v1.") for detail in details]
    assert names == ["IdempotencyCollisionError", "BulkTriggerIdempotencyCollisionError"]
    told = pb.BulkTriggerIdempotencyCollisionError.FromString(details[1].value)
    assert list(told.successful_workflow_run_external_ids) == [str(replayed)]
    assert [one.colliding_run_external_id for one in told.collisions] == [str(ours)]


@pytest.mark.parametrize(("method", "request_type", "asked", "answered"), ACTIONS)
async def test_runs_are_chosen_by_filter(
    method: str,
    request_type: Any,
    asked: str,
    answered: str,
    client: Client,
    engine: RecordingEngine,
) -> None:
    workflow_id = new_id()
    full = pb.TasksFilter(
        statuses=["FAILED", "QUEUED"],
        since=stamp(SINCE),
        until=stamp(UNTIL),
        workflow_ids=[str(workflow_id)],
        additional_metadata=["url:http://x:1", "empty:"],
    )
    for chosen in (full, pb.TasksFilter(since=stamp(SINCE))):
        answer = await client.call(f"v1.AdminService/{method}", request_type(filter=chosen))
        assert list(getattr(answer, answered)) == [str(task_id) for task_id in engine.ids]
    assert engine.calls[f"{asked}_matching"] == [
        (
            TENANT_ID,
            RunFilter(
                SINCE,
                UNTIL,
                (Status.FAILED, Status.QUEUED),
                (workflow_id,),
                (("url", "http://x:1"), ("empty", "")),
            ),
        ),
        (TENANT_ID, RunFilter(SINCE)),
    ]


@pytest.mark.parametrize(("method", "request_type", "asked", "answered"), ACTIONS)
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"external_ids": ["nope"]}, "invalid external id"),
        ({"external_ids": [str(new_id()), ""]}, "invalid external id"),
        (
            {"external_ids": [str(new_id())], "filter": pb.TasksFilter(since=stamp(SINCE))},
            "external_ids and filter",
        ),
        ({"filter": pb.TasksFilter()}, "filter.since"),
        ({"filter": pb.TasksFilter(since=Timestamp(seconds=2**60))}, "filter.since"),
        ({"filter": pb.TasksFilter(since=stamp(SINCE), statuses=["NO"])}, "filter.statuses"),
        ({"filter": pb.TasksFilter(since=stamp(SINCE), workflow_ids=["x"])}, "filter.workflow_ids"),
        (
            {"filter": pb.TasksFilter(since=stamp(SINCE), additional_metadata=["pair"])},
            "filter.additional_metadata",
        ),
        (
            {"filter": pb.TasksFilter(since=stamp(SINCE), additional_metadata=[":value"])},
            "filter.additional_metadata",
        ),
    ],
)
async def test_an_unclear_choice_changes_nothing(
    method: str,
    request_type: Any,
    asked: str,
    answered: str,
    options: dict[str, Any],
    named: str,
    client: Client,
    engine: RecordingEngine,
) -> None:
    code, message = await refusal(client.call(f"v1.AdminService/{method}", request_type(**options)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith(named)
    assert not engine.calls, (asked, answered)


@pytest.mark.parametrize(("method", "request_type", "asked", "answered"), ACTIONS)
async def test_choosing_nothing_is_no_choice_of_everything(
    method: str,
    request_type: Any,
    asked: str,
    answered: str,
    client: Client,
    engine: RecordingEngine,
) -> None:
    answer = await client.call(f"v1.AdminService/{method}", request_type())
    assert list(getattr(answer, answered)) == []
    assert not engine.calls, asked


async def test_run_details_tell_outputs_errors_and_neither(
    client: Client, engine: RecordingEngine
) -> None:
    tasks = (
        TaskDetails(UUID(int=1), "good", Status.COMPLETED, output=b'{"a":1}'),
        TaskDetails(UUID(int=2), "bad", Status.FAILED, error="it broke"),
        TaskDetails(UUID(int=3), "stopped", Status.CANCELLED, error=""),
        TaskDetails(UUID(int=4), "busy", Status.RUNNING),
        TaskDetails(UUID(int=5), "away", Status.RUNNING, is_evicted=True),
    )
    engine.details = RunDetails(new_id(), Status.RUNNING, b'{"n": 1.0}', b'{"a":"b"}', tasks)
    run_id = new_id()
    answer = await client.call(
        "v1.AdminService/GetRunDetails", pb.GetRunDetailsRequest(external_id=str(run_id))
    )
    assert engine.calls["get_run_details"] == [(TENANT_ID, run_id)]
    assert (answer.input, answer.additional_metadata) == (b'{"n": 1.0}', b'{"a":"b"}')
    assert (answer.status, answer.done, answer.is_evicted) == (pb.RUNNING, False, True)
    told = {
        name: (
            run.external_id,
            run.status,
            run.output if run.HasField("output") else None,
            run.error if run.HasField("error") else None,
        )
        for name, run in answer.task_runs.items()
    }
    assert told == {
        "good": (str(UUID(int=1)), pb.COMPLETED, b'{"a":1}', None),
        "bad": (str(UUID(int=2)), pb.FAILED, None, "it broke"),
        "stopped": (str(UUID(int=3)), pb.CANCELLED, None, None),
        "busy": (str(UUID(int=4)), pb.RUNNING, None, None),
        "away": (str(UUID(int=5)), pb.RUNNING, None, None),
    }
    assert [name for name, run in answer.task_runs.items() if run.is_evicted] == ["away"]


@pytest.mark.parametrize("status", list(Status))
async def test_only_a_final_run_is_done(
    status: Status, client: Client, engine: RecordingEngine
) -> None:
    engine.details = RunDetails(new_id(), status, b"{}", None, ())
    answer = await client.call(
        "v1.AdminService/GetRunDetails", pb.GetRunDetailsRequest(external_id=str(new_id()))
    )
    assert (pb.RunStatus.Name(answer.status), answer.done) == (status.name, status.is_final)


async def test_unknown_and_malformed_runs(client: Client, engine: RecordingEngine) -> None:
    call = client.call("v1.AdminService/GetRunDetails", pb.GetRunDetailsRequest(external_id="x"))
    assert await refusal(call) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid external id")
    engine.failure = NotFound("workflow run not found")
    call = client.call(
        "v1.AdminService/GetRunDetails", pb.GetRunDetailsRequest(external_id=str(new_id()))
    )
    assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "workflow run not found")
