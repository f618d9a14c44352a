"""Pushed events, log lines and stream chunks."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from engine.errors import NotFound
from engine.ids import new_id
from engine.pb import events_pb2 as pb
from engine.states import LogLevel
from engine.types import EventInput, LogInput
from tests.rpc.client import TENANT_ID, Client, refusal
from tests.rpc.recording_engine import NOW, RecordingEngine

TASK_ID = new_id()


async def test_an_event_is_pushed_and_echoed(client: Client, engine: RecordingEngine) -> None:
    event = await client.call(
        "EventsService/Push",
        pb.PushEventRequest(
            key="order:created",
            payload='{"n": 1.0}',
            additional_metadata='{"a":"b"}',
            priority=3,
            scope="eu",
        ),
    )
    assert engine.calls["push_events"] == [
        (TENANT_ID, [EventInput("order:created", b'{"n": 1.0}', b'{"a":"b"}', 3, "eu")])
    ]
    assert (event.tenant_id, event.key, event.payload) == (
        str(TENANT_ID),
        "order:created",
        '{"n": 1.0}',
    )
    assert (event.additional_metadata, event.scope) == ('{"a":"b"}', "eu")
    assert event.event_id
    assert event.event_timestamp.ToDatetime(tzinfo=NOW.tzinfo) == NOW


async def test_an_event_needs_no_more_than_a_key(client: Client, engine: RecordingEngine) -> None:
    event = await client.call("EventsService/Push", pb.PushEventRequest(key="k", payload=" "))
    assert engine.calls["push_events"] == [(TENANT_ID, [EventInput("k")])]
    assert not event.HasField("additional_metadata")
    assert not event.HasField("scope")


async def test_bulk_events_are_answered_in_order(client: Client, engine: RecordingEngine) -> None:
    request = pb.BulkPushEventRequest(
        events=[pb.PushEventRequest(key=f"k{n}", payload="{}") for n in range(1_000)]
    )
    answer = await client.call("EventsService/BulkPush", request)
    assert [event.key for event in answer.events] == [f"k{n}" for n in range(1_000)]
    assert len(engine.calls["push_events"]) == 1


async def test_a_reply_that_would_not_fit_leaves_the_payloads_out(
    client: Client, engine: RecordingEngine
) -> None:
    text = '{"a":"' + "x" * 4_100 + '"}'
    request = pb.BulkPushEventRequest(
        events=[pb.PushEventRequest(key="k", payload=text) for _ in range(1_000)]
    )
    assert request.ByteSize() < 4 * 1024 * 1024
    answer = await client.call("EventsService/BulkPush", request)
    assert len(answer.events) == 1_000
    assert all(event.event_id and not event.payload for event in answer.events)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"key": ""}, "key"),
        ({"key": "  "}, "key"),
        ({"key": "a\0"}, "key"),
        ({"key": "k" * 1_001}, "key"),
        ({"payload": "[]"}, "payload must be a JSON object"),
        ({"payload": "7"}, "payload must be a JSON object"),
        ({"payload": "{"}, "payload is not valid JSON"),
        ({"payload": r'{"a":"\u0000"}'}, "payload contains a null character"),
        ({"additional_metadata": "[1]"}, "additional_metadata"),
        ({"priority": 0}, "priority"),
        ({"priority": 4}, "priority"),
        ({"scope": "\0"}, "scope"),
    ],
)
async def test_an_event_is_refused_by_field(
    options: dict[str, Any], named: str, client: Client, engine: RecordingEngine
) -> None:
    event = pb.PushEventRequest(**({"key": "k"} | options))
    code, message = await refusal(client.call("EventsService/Push", event))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert named in message
    bulk = pb.BulkPushEventRequest(events=[pb.PushEventRequest(key="good"), event])
    code, message = await refusal(client.call("EventsService/BulkPush", bulk))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"events[1].{named}" in message
    assert not engine.calls


@pytest.mark.parametrize("count", [0, 1_001])
async def test_bulk_sizes_are_bounded(count: int, client: Client, engine: RecordingEngine) -> None:
    request = pb.BulkPushEventRequest(events=[pb.PushEventRequest(key="k")] * count)
    code, message = await refusal(client.call("EventsService/BulkPush", request))
    assert (code, "1000" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert not engine.calls


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"message": "m"}, LogInput(TENANT_ID, TASK_ID, "m")),
        ({"message": ""}, LogInput(TENANT_ID, TASK_ID, "")),
        ({"message": "m" * 10_000}, LogInput(TENANT_ID, TASK_ID, "m" * 10_000)),
        (
            {"message": "m" * 1_000_000},
            LogInput(TENANT_ID, TASK_ID, "m" * 9_970 + " … [1,000,000 characters, cut]"),
        ),
        (
            {"message": "m", "level": "ERROR", "metadata": '{"a":1}', "task_retry_count": 0},
            LogInput(TENANT_ID, TASK_ID, "m", LogLevel.ERROR, b'{"a":1}', 0),
        ),
        ({"message": "a\0b", "level": ""}, LogInput(TENANT_ID, TASK_ID, "a\ufffdb")),
    ],
)
async def test_log_lines_are_kept(
    options: dict[str, Any], line: LogInput, client: Client, engine: RecordingEngine
) -> None:
    await client.call(
        "EventsService/PutLog", pb.PutLogRequest(task_run_external_id=str(TASK_ID), **options)
    )
    assert engine.calls["append_log"] == [line]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"level": "LOUD"}, "level"),
        ({"level": "info"}, "level"),
        ({"metadata": "nope"}, "metadata"),
        ({"metadata": "[]"}, "metadata"),
        ({"task_run_external_id": "nope"}, "task_run_external_id"),
    ],
)
async def test_a_log_line_is_refused_by_field(
    options: dict[str, Any], named: str, client: Client, engine: RecordingEngine
) -> None:
    request = pb.PutLogRequest(**({"task_run_external_id": str(TASK_ID), "message": "m"} | options))
    code, message = await refusal(client.call("EventsService/PutLog", request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert named in message
    assert not engine.calls


async def test_stream_chunks_are_passed_on_even_when_cut_inside_a_character(
    client: Client, engine: RecordingEngine
) -> None:
    for chunk, index in (("é".encode(), 0), ("é".encode()[:1], None)):
        await client.call(
            "EventsService/PutStreamEvent",
            pb.PutStreamEventRequest(
                task_run_external_id=str(TASK_ID), message=chunk, event_index=index
            ),
        )
    assert engine.calls["put_stream_event"] == [
        (TENANT_ID, TASK_ID, "é", 0),
        (TENANT_ID, TASK_ID, "\ufffd", None),
    ]
    code, _ = await refusal(
        client.call("EventsService/PutStreamEvent", pb.PutStreamEventRequest(message=b"x"))
    )
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_event_is_replayed_by_its_id(client: Client, engine: RecordingEngine) -> None:
    event_id = new_id()
    request = pb.ReplayEventRequest(event_id=str(event_id))
    event = await client.call("EventsService/ReplaySingleEvent", request)
    assert engine.calls["replay_event"] == [(TENANT_ID, event_id)]
    assert (event.key, event.payload) == ("key", "{}")


async def test_what_cannot_be_replayed_says_why(client: Client, engine: RecordingEngine) -> None:
    nonsense = client.call("EventsService/ReplaySingleEvent", pb.ReplayEventRequest(event_id="x"))
    assert (await refusal(nonsense))[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert not engine.calls
    engine.failure = NotFound("event not found")
    request = pb.ReplayEventRequest(event_id=str(new_id()))
    unknown = client.call("EventsService/ReplaySingleEvent", request)
    assert await refusal(unknown) == (grpc.StatusCode.NOT_FOUND, "event not found")
