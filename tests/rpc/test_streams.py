"""The streams: what they carry, and how they end."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from uuid import UUID

import grpc
import pytest
from django.db import OperationalError

from engine.domain.payload import action_payload, mark_reason
from engine.errors import NotFound, Unavailable
from engine.ids import new_id
from engine.pb import dispatcher_pb2 as pb
from engine.rpc.server import RpcServer
from engine.rpc.streams import OpenStreams
from engine.states import Status
from engine.types import (
    Action,
    ActionKind,
    ReportKind,
    RunFinished,
    StreamEvent,
    StreamEventKind,
    TaskResult,
)
from tenants.token_claims import InvalidToken, VerifiedToken
from tests.rpc.client import PATIENCE_SECONDS, TENANT_ID, TOKEN, Client, KnownToken, refusal
from tests.rpc.recording_engine import NOW, RecordingEngine

WORKER_ID = new_id()
LISTEN = pb.WorkerListenRequest(worker_id=str(WORKER_ID))
START = Action(
    kind=ActionKind.START,
    tenant_id=TENANT_ID,
    run_id=new_id(),
    task_id=new_id(),
    step_id=new_id(),
    action_id="orders:fetch",
    readable_id="fetch",
    retry_count=2,
    priority=3,
    workflow_id=new_id(),
    version_id=new_id(),
    payload=b'{"input":{}}',
)


@pytest.mark.parametrize(
    ("method", "beats_by_itself"), [("Dispatcher/ListenV2", False), ("Dispatcher/Listen", True)]
)
async def test_an_action_reaches_the_worker(
    method: str, beats_by_itself: bool, client: Client, engine: RecordingEngine
) -> None:
    engine.session.actions.put_nowait(START)
    message = await client.call(method, LISTEN).read()
    assert engine.calls["open_session"] == [(TENANT_ID, WORKER_ID, beats_by_itself)]
    task_id, step_id = str(START.task_id), str(START.step_id)
    assert message == pb.AssignedAction(
        tenant_id=str(TENANT_ID),
        workflow_run_id=str(START.run_id),
        job_id=step_id,
        job_name="fetch",
        job_run_id=task_id,
        task_id=step_id,
        task_run_external_id=task_id,
        action_id="orders:fetch",
        action_type=pb.START_STEP_RUN,
        action_payload='{"input":{}}',
        task_name="fetch",
        retry_count=2,
        priority=3,
        workflow_id=str(START.workflow_id),
        workflow_version_id=str(START.version_id),
    )


async def test_what_an_action_does_not_have_is_absent_and_the_rest_is_sent(
    client: Client, engine: RecordingEngine
) -> None:
    child = START._replace(
        kind=ActionKind.CANCEL,
        payload=b"",
        additional_metadata=b'{"a":"b"}',
        parent_run_id=new_id(),
        child_index=0,
        child_key="",
        event_id=new_id(),
        event_key="order:created",
        created_at=NOW,
    )
    engine.session.actions.put_nowait(START)
    engine.session.actions.put_nowait(child)
    stream = client.call("Dispatcher/ListenV2", LISTEN)
    first, second = await stream.read(), await stream.read()
    optional = {
        "additional_metadata": '{"a":"b"}',
        "child_workflow_index": 0,
        "child_workflow_key": "",
        "parent_workflow_run_id": str(child.parent_run_id),
        "triggering_event_external_id": str(child.event_id),
        "triggering_event_key": "order:created",
    }
    assert not [name for name in (*optional, "task_inserted_at") if first.HasField(name)]
    assert {name: getattr(second, name) for name in optional if second.HasField(name)} == optional
    assert second.action_type == pb.CANCEL_STEP_RUN
    assert second.action_payload == ""
    assert second.task_inserted_at.ToDatetime(tzinfo=NOW.tzinfo) == NOW


async def test_an_action_with_a_payload_that_cannot_be_read_fails_its_task_and_is_not_sent(
    client: Client, engine: RecordingEngine
) -> None:
    lost = START._replace(payload=action_payload(mark_reason("The payload is gone.")))
    engine.session.actions.put_nowait(lost)
    engine.session.actions.put_nowait(START)
    message = await client.call("Dispatcher/ListenV2", LISTEN).read()
    assert message.action_payload == '{"input":{}}'
    ((report,),) = engine.calls["report_batch"]
    assert (report.kind, report.payload) == (ReportKind.FAILED, b"The payload is gone.")
    assert (report.retry_count, report.should_not_retry) == (2, True)


async def test_an_action_too_large_to_send_fails_its_task_and_spares_the_stream(
    client: Client, engine: RecordingEngine
) -> None:
    engine.session.actions.put_nowait(START._replace(payload=b"x" * (4 * 1024 * 1024)))
    engine.session.actions.put_nowait(START._replace(task_id=UUID(int=5)))
    message = await client.call("Dispatcher/ListenV2", LISTEN).read()
    assert message.task_run_external_id == str(UUID(int=5))
    ((report,),) = engine.calls["report_batch"]
    assert (report.task_id, report.kind) == (START.task_id, ReportKind.FAILED)
    assert (report.retry_count, report.should_not_retry) == (2, True)
    assert b"4 MiB" in report.payload


async def test_a_session_ended_by_the_engine_tells_the_worker_to_reconnect(
    client: Client, engine: RecordingEngine
) -> None:
    engine.session.actions.put_nowait(None)
    code, _ = await refusal(client.call("Dispatcher/ListenV2", LISTEN))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert engine.session.closed.is_set()


async def test_a_worker_that_goes_away_closes_its_session(
    client: Client, engine: RecordingEngine
) -> None:
    engine.session.actions.put_nowait(START)
    stream = client.call("Dispatcher/ListenV2", LISTEN)
    await stream.read()
    stream.cancel()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await engine.session.closed.wait()


async def test_an_unknown_worker_cannot_listen(client: Client, engine: RecordingEngine) -> None:
    engine.failure = NotFound("worker not found")
    assert await refusal(client.call("Dispatcher/ListenV2", LISTEN)) == (
        grpc.StatusCode.NOT_FOUND,
        "worker not found",
    )


async def test_finished_runs_are_told_and_bad_ids_do_not_end_the_stream(
    client: Client, engine: RecordingEngine
) -> None:
    run_id = new_id()
    stream = client.converse("Dispatcher/SubscribeToWorkflowRuns")
    for text in ("no-uuid", "", str(run_id)):
        await stream.write(pb.SubscribeToWorkflowRunsRequest(workflow_run_id=text))
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await engine.subscription.run_ids.get() == run_id
    results = (
        TaskResult(UUID(int=1), "good", Status.COMPLETED, output=b'{"a":1}'),
        TaskResult(UUID(int=2), "silent", Status.COMPLETED),
        TaskResult(UUID(int=3), "bad", Status.FAILED, error="it broke"),
        TaskResult(UUID(int=4), "stopped", Status.CANCELLED),
    )
    engine.subscription.finished.put_nowait(RunFinished(run_id, NOW, results))
    event = await stream.read()
    assert event.workflow_run_id == str(run_id)
    assert event.event_timestamp.ToDatetime(tzinfo=NOW.tzinfo) == NOW
    told = {
        result.task_name: (
            result.error if result.HasField("error") else None,
            result.output if result.HasField("output") else None,
        )
        for result in event.results
    }
    assert told == {
        "good": (None, '{"a":1}'),
        "silent": (None, None),
        "bad": ("it broke", None),
        "stopped": ("", None),
    }
    assert [result.task_run_external_id for result in event.results] == [
        str(UUID(int=number)) for number in (1, 2, 3, 4)
    ]
    stream.cancel()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await engine.subscription.closed.wait()


async def test_events_of_a_run_are_streamed_until_the_engine_ends_them(
    client: Client, engine: RecordingEngine
) -> None:
    run_id, task_id = new_id(), new_id()
    chunk = StreamEvent(
        run_id, task_id, False, StreamEventKind.STREAM, NOW, payload="part", event_index=0
    )
    end = StreamEvent(run_id, run_id, True, StreamEventKind.COMPLETED, NOW, hangup=True)
    for event in (chunk, end, None):
        engine.stream_events.put_nowait(event)
    request = pb.SubscribeToWorkflowEventsRequest(workflow_run_id=str(run_id))
    events = [e async for e in client.call("Dispatcher/SubscribeToWorkflowEvents", request)]
    assert engine.calls["stream_run_events"] == [(TENANT_ID, run_id)]
    assert [(e.resource_type, e.event_type, e.resource_id, e.hangup) for e in events] == [
        (pb.RESOURCE_TYPE_STEP_RUN, pb.RESOURCE_EVENT_TYPE_STREAM, str(task_id), False),
        (pb.RESOURCE_TYPE_WORKFLOW_RUN, pb.RESOURCE_EVENT_TYPE_COMPLETED, str(run_id), True),
    ]
    assert (events[0].event_payload, events[0].event_index) == ("part", 0)
    assert events[0].HasField("event_index")
    assert not events[1].HasField("event_index")


async def test_events_are_found_by_metadata_as_well(
    client: Client, engine: RecordingEngine
) -> None:
    engine.stream_events.put_nowait(None)
    request = pb.SubscribeToWorkflowEventsRequest(
        additional_meta_key="order", additional_meta_value="7"
    )
    assert [e async for e in client.call("Dispatcher/SubscribeToWorkflowEvents", request)] == []
    assert engine.calls["stream_metadata_events"] == [(TENANT_ID, "order", "7")]


@pytest.mark.parametrize(
    ("method", "request_message"),
    [
        ("Dispatcher/ListenV2", pb.WorkerListenRequest(worker_id="w")),
        ("Dispatcher/Listen", pb.WorkerListenRequest()),
        (
            "Dispatcher/SubscribeToWorkflowEvents",
            pb.SubscribeToWorkflowEventsRequest(workflow_run_id="x"),
        ),
        ("Dispatcher/SubscribeToWorkflowEvents", pb.SubscribeToWorkflowEventsRequest()),
        (
            "Dispatcher/SubscribeToWorkflowEvents",
            pb.SubscribeToWorkflowEventsRequest(additional_meta_key="only"),
        ),
    ],
)
async def test_streams_refuse_what_they_cannot_follow(
    method: str, request_message: Any, client: Client, engine: RecordingEngine
) -> None:
    code, message = await refusal(client.call(method, request_message))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "worker_id" in message or "workflow_run_id" in message
    assert not engine.calls


async def test_a_revoked_token_ends_the_streams_it_opened(
    client: Client,
    engine: RecordingEngine,
    verifier: KnownToken,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actions = client.call("Dispatcher/ListenV2", LISTEN)
    engine.session.actions.put_nowait(START)
    await actions.read()
    loop, checks = asyncio.get_running_loop(), asyncio.Queue[str]()

    def unreachable(token: str) -> VerifiedToken:
        loop.call_soon_threadsafe(checks.put_nowait, token)
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(verifier, "verify", unreachable)
        verifier.forget()
        async with asyncio.timeout(PATIENCE_SECONDS):
            # The second check begins after the first was dealt with.
            assert [await checks.get(), await checks.get()] == [TOKEN, TOKEN]
        engine.session.actions.put_nowait(START)
        assert await actions.read(), "an unreachable database must not end a stream"
    verifier.failure = InvalidToken("revoked")
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await refusal(actions) == (grpc.StatusCode.UNAUTHENTICATED, "invalid auth token")
        await engine.session.closed.wait()


async def test_a_stopping_server_ends_every_stream_with_unavailable(
    client: Client, engine: RecordingEngine, server: RpcServer
) -> None:
    runs = client.converse("Dispatcher/SubscribeToWorkflowRuns")
    await runs.write(pb.SubscribeToWorkflowRunsRequest(workflow_run_id=str(new_id())))
    await engine.subscription.run_ids.get()
    actions = client.call("Dispatcher/ListenV2", LISTEN)
    engine.session.actions.put_nowait(START)
    await actions.read()
    run_id = new_id()
    events = client.call(
        "Dispatcher/SubscribeToWorkflowEvents",
        pb.SubscribeToWorkflowEventsRequest(workflow_run_id=str(run_id)),
    )
    engine.stream_events.put_nowait(StreamEvent(run_id, run_id, True, StreamEventKind.STARTED, NOW))
    await events.read()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await server.stop(2)
        for stream in (runs, actions, events):
            assert await refusal(stream) == (
                grpc.StatusCode.UNAVAILABLE,
                "the engine is stopping; connect again",
            )
    assert engine.session.closed.is_set()
    assert engine.subscription.closed.is_set()


async def test_a_stopping_server_finishes_the_calls_it_took(
    client: Client, engine: RecordingEngine, server: RpcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, may_finish = asyncio.Event(), asyncio.Event()

    async def slow_beat(_tenant_id: UUID, _worker_id: UUID) -> None:
        taken.set()
        await may_finish.wait()

    monkeypatch.setattr(engine, "record_heartbeat", slow_beat)
    beat = client.call("Dispatcher/Heartbeat", pb.HeartbeatRequest(worker_id=str(WORKER_ID)))
    actions = client.call("Dispatcher/ListenV2", LISTEN)
    engine.session.actions.put_nowait(START)
    await actions.read()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await taken.wait()
        stop = asyncio.create_task(server.stop(PATIENCE_SECONDS))
        await refusal(actions)
        may_finish.set()
        assert await beat == pb.HeartbeatResponse()
        await stop


async def test_a_stream_that_is_ended_while_it_writes_ends_after_that() -> None:
    """The transport takes no status before, and the client would hear nothing at all."""
    streams, is_sent = OpenStreams(), asyncio.Event()

    class SlowContext:
        async def write(self, _response: object) -> None:
            await is_sent.wait()

    async def serve() -> None:
        task = asyncio.current_task()
        assert task is not None
        streams.add(task, "token")
        await streams.write(task, cast(Any, SlowContext()), START)

    stream = asyncio.create_task(serve())
    await asyncio.sleep(0)
    streams.close()
    await asyncio.sleep(0)
    assert not stream.done()
    is_sent.set()
    with pytest.raises(Unavailable, match="is stopping"):
        await stream
