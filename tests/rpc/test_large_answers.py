"""What is too large for one message is delivered in parts or replaced by words, never left out in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import orjson
import pytest

from engine.config import MEBIBYTE
from engine.ids import new_id
from engine.pb import dispatcher_pb2, events_pb2, workflows_pb2
from engine.pb.v1 import workflows_pb2 as v1_pb
from engine.pb.v1.shared import trigger_pb2
from engine.rpc.server import RpcServer, ServerSettings
from engine.states import Status
from engine.types import (
    RunDetails,
    RunFinished,
    StreamEvent,
    StreamEventKind,
    TaskDetails,
    TaskResult,
)
from tests.rpc.client import PATIENCE_SECONDS, Client, KnownToken, refusal
from tests.rpc.recording_engine import NOW, RecordingEngine
from tests.rpc.test_streams import LISTEN, START

DETAILS = v1_pb.GetRunDetailsRequest(external_id=str(new_id()))
RUNS = "Dispatcher/SubscribeToWorkflowRuns"


@asynccontextmanager
async def limited(engine: RecordingEngine, limit: int) -> AsyncIterator[Client]:
    """A client of a server with another limit; its own is higher than any."""
    settings = ServerSettings(host="127.0.0.1", port=0, max_message_bytes=limit)
    server = RpcServer(engine, KnownToken(), settings)
    await server.start()
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        yield Client(channel)
    await server.stop(0)


def text_of(size: int) -> bytes:
    return b'{"text":"' + b"x" * (size - 11) + b'"}'


def result(size: int, name: str = "work") -> TaskResult:
    return TaskResult(new_id(), name, Status.COMPLETED, output=text_of(size))


def detail(name: str, size: int) -> TaskDetails:
    return TaskDetails(new_id(), name, Status.COMPLETED, output=text_of(size))


async def finished(client: Client, engine: RecordingEngine, *results: TaskResult) -> list[Any]:
    engine.subscription.finished.put_nowait(RunFinished(new_id(), NOW, results))
    stream = client.converse(RUNS)
    event = await stream.read()
    stream.cancel()
    return list(event.results)


@pytest.mark.parametrize("size", [3_500_000, 4 * MEBIBYTE - 200])
async def test_an_output_that_fits_is_delivered(
    size: int, client: Client, engine: RecordingEngine
) -> None:
    (told,) = await finished(client, engine, result(size))
    assert (len(told.output), told.HasField("error")) == (size, False)


async def test_outputs_that_do_not_fit_together_become_errors_that_say_where_to_read_them(
    client: Client, engine: RecordingEngine
) -> None:
    outputs = [result(size) for size in (500_000, 2_000_000, 1_900_000, 1_000)]
    told = await finished(client, engine, *outputs)
    by_id = {each.task_run_external_id: each for each in told}
    small, large, kept, tiny = (by_id[str(output.task_id)] for output in outputs)
    assert [len(each.output) for each in (small, kept, tiny)] == [500_000, 1_900_000, 1_000]
    assert not large.HasField("output")
    assert f"GET /api/v1/stable/tasks/{large.task_run_external_id}" in large.error
    assert "2000000 bytes" in large.error and "SERVER_GRPC_MAX_MSG_SIZE" in large.error


async def test_long_errors_shrink_before_outputs_are_left_out(
    client: Client, engine: RecordingEngine
) -> None:
    errors = [TaskResult(new_id(), f"t{n}", Status.FAILED, error="e" * 1_000_000) for n in range(5)]
    told = await finished(client, engine, *errors, result(1_000_000))
    assert all("too large" in each.error for each in told[:5])
    assert len(told[5].output) == 1_000_000


async def test_a_run_with_too_many_results_for_any_message_is_an_error(
    engine: RecordingEngine,
) -> None:
    async with limited(engine, MEBIBYTE) as client:
        (told,) = await finished(client, engine, *[result(20) for _ in range(10_000)])
    assert "do not fit" in told.error


async def details_of(client: Client, engine: RecordingEngine, run: RunDetails) -> Any:
    engine.details = run
    return await client.call("v1.AdminService/GetRunDetails", DETAILS)


async def test_details_leave_the_input_out_before_any_output(
    client: Client, engine: RecordingEngine
) -> None:
    run = RunDetails(
        new_id(), Status.COMPLETED, text_of(2_000_000), b'{"a":"b"}', (detail("a", 3_000_000),)
    )
    told = await details_of(client, engine, run)
    assert (told.status, len(told.task_runs["a"].output)) == (v1_pb.COMPLETED, 3_000_000)
    notice = orjson.loads(told.input)["too_large"]
    assert f"GET /api/v1/stable/workflow-runs/{run.run_id}" in notice


@pytest.mark.parametrize(
    ("status", "told_status"),
    [(Status.COMPLETED, v1_pb.FAILED), (Status.RUNNING, v1_pb.RUNNING)],
)
async def test_details_whose_outputs_do_not_fit_say_so_as_errors_of_their_tasks(
    status: Status, told_status: int, client: Client, engine: RecordingEngine
) -> None:
    tasks = tuple(detail(f"t{n}", 2_000_000) for n in range(3))
    told = await details_of(client, engine, RunDetails(new_id(), status, b"{}", None, tasks))
    assert told.status == told_status
    kept = [each for each in told.task_runs.values() if each.HasField("output")]
    left = [each for each in told.task_runs.values() if not each.HasField("output")]
    assert (len(kept), len(left)) == (2, 1)
    assert "GET /api/v1/stable/tasks/" in left[0].error
    assert left[0].status == v1_pb.COMPLETED


async def test_a_chunk_goes_on_in_pieces_that_make_up_the_whole(
    client: Client, engine: RecordingEngine
) -> None:
    text = (bytes(range(256)) * 8192).decode(errors="replace")
    assert len(text.encode()) > 4 * MEBIBYTE - 100
    run_id = new_id()
    chunk = StreamEvent(
        run_id, new_id(), False, StreamEventKind.STREAM, NOW, payload=text, event_index=3
    )
    engine.stream_events.put_nowait(chunk)
    engine.stream_events.put_nowait(replace(chunk, payload="next", event_index=4))
    engine.stream_events.put_nowait(None)
    request = dispatcher_pb2.SubscribeToWorkflowEventsRequest(workflow_run_id=str(run_id))
    told = [e async for e in client.call("Dispatcher/SubscribeToWorkflowEvents", request)]
    assert "".join(event.event_payload for event in told) == text + "next"
    assert [event.event_index for event in told] == [3] * (len(told) - 1) + [4]


async def test_the_end_of_a_task_with_a_huge_output_is_told_without_it(
    client: Client, engine: RecordingEngine
) -> None:
    run_id, task_id = new_id(), new_id()
    end = StreamEvent(
        run_id, task_id, False, StreamEventKind.COMPLETED, NOW, text_of(4 * MEBIBYTE).decode()
    )
    engine.stream_events.put_nowait(end)
    engine.stream_events.put_nowait(None)
    request = dispatcher_pb2.SubscribeToWorkflowEventsRequest(workflow_run_id=str(run_id))
    (told,) = [e async for e in client.call("Dispatcher/SubscribeToWorkflowEvents", request)]
    assert str(task_id) in orjson.loads(told.event_payload)["too_large"]


async def test_an_event_that_filled_its_request_is_answered_with_its_id(
    client: Client, engine: RecordingEngine
) -> None:
    request = events_pb2.PushEventRequest(key="k", payload=text_of(4 * MEBIBYTE - 20).decode())
    assert (await client.call("EventsService/Push", request)).event_id
    assert len(engine.calls["push_events"]) == 1


async def test_more_runs_than_one_answer_can_name_are_refused_before_any_is_started(
    engine: RecordingEngine,
) -> None:
    trigger = trigger_pb2.TriggerWorkflowRequest(name="w")
    request = workflows_pb2.BulkTriggerWorkflowRequest(workflows=[trigger] * 28_000)
    async with limited(engine, MEBIBYTE) as client:
        code, message = await refusal(client.call("WorkflowService/BulkTriggerWorkflow", request))
    assert (code, "at most" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert not engine.calls["trigger_runs"]


@pytest.mark.parametrize(
    ("limit", "size", "is_sent"),
    [
        (MEBIBYTE, 2 * MEBIBYTE, False),
        (16 * MEBIBYTE, 6 * MEBIBYTE, True),
        (16 * MEBIBYTE, 17 * MEBIBYTE, False),
    ],
)
async def test_the_configured_size_decides_what_a_worker_is_sent(
    limit: int, size: int, is_sent: bool, engine: RecordingEngine
) -> None:
    large = START._replace(payload=text_of(size))
    engine.session.actions.put_nowait(large)
    engine.session.actions.put_nowait(START._replace(retry_count=7))
    async with limited(engine, limit) as client, asyncio.timeout(PATIENCE_SECONDS):
        stream = client.call("Dispatcher/ListenV2", LISTEN)
        retries = [(await stream.read()).retry_count for _ in range(1 + is_sent)]
        stream.cancel()
    assert retries == ([2, 7] if is_sent else [7])
    reports = [report for batch in engine.calls["report_batch"] for report in batch]
    assert [b"SERVER_GRPC_MAX_MSG_SIZE" in report.payload for report in reports] == [True] * (
        not is_sent
    )


async def test_the_configured_size_decides_what_is_taken(engine: RecordingEngine) -> None:
    request = trigger_pb2.TriggerWorkflowRequest(name="w", input=text_of(6 * MEBIBYTE).decode())
    async with limited(engine, 16 * MEBIBYTE) as client:
        await client.call("WorkflowService/TriggerWorkflow", request)
    assert engine.calls["trigger_runs"]
