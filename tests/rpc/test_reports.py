"""Workers' reports: what reaches the engine for each kind of event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from engine.ids import new_id
from engine.pb import dispatcher_pb2 as pb
from engine.types import ReportKind, TaskReport
from tests.rpc.client import TENANT_ID, Client, refusal
from tests.rpc.recording_engine import RecordingEngine

TASK_ID = new_id()


async def report(client: Client, engine: RecordingEngine, **options: Any) -> TaskReport:
    event = pb.StepActionEvent(
        worker_id="a worker's name", task_run_external_id=str(TASK_ID), **options
    )
    answer = await client.call("Dispatcher/SendStepActionEvent", event)
    assert (answer.tenant_id, answer.worker_id) == (str(TENANT_ID), "a worker's name")
    (told,) = engine.calls["report"]
    assert isinstance(told, TaskReport)
    assert (told.tenant_id, told.task_id) == (TENANT_ID, TASK_ID)
    return told


@pytest.mark.parametrize(
    "event_type", [pb.STEP_EVENT_TYPE_STARTED, pb.STEP_EVENT_TYPE_ACKNOWLEDGED]
)
async def test_progress_is_passed_on(
    event_type: Any, client: Client, engine: RecordingEngine
) -> None:
    told = await report(client, engine, event_type=event_type, event_payload="ignored")
    assert told.kind == event_type
    assert told.payload == b""
    assert told.retry_count is None


@pytest.mark.parametrize(
    ("seconds", "at"),
    [(1_000, datetime.fromtimestamp(1_000, UTC)), (0, None), (1 << 62, None), (-(1 << 62), None)],
)
async def test_the_workers_clock_is_passed_on_if_it_says_a_date(
    seconds: int, at: datetime | None, client: Client, engine: RecordingEngine
) -> None:
    stamp = Timestamp(seconds=seconds)
    told = await report(
        client, engine, event_type=pb.STEP_EVENT_TYPE_COMPLETED, event_timestamp=stamp
    )
    assert told.at == at


async def test_the_attempt_and_the_retry_wishes_are_passed_on(
    client: Client, engine: RecordingEngine
) -> None:
    told = await report(
        client,
        engine,
        event_type=pb.STEP_EVENT_TYPE_FAILED,
        event_payload='ünmodified "text"\nlast line',
        retry_count=0,
        should_not_retry=True,
        retry_after_ms=1500,
    )
    assert told.kind is ReportKind.FAILED
    assert told.payload.decode() == 'ünmodified "text"\nlast line'
    assert (told.retry_count, told.should_not_retry, told.retry_after_ms) == (0, True, 1500)


@pytest.mark.parametrize(
    ("wish", "told_ms"), [(-5, 0), (2**62, 366 * 86_400_000)], ids=["negative", "far away"]
)
async def test_retry_delays_are_kept_within_reason(
    wish: int, told_ms: int, client: Client, engine: RecordingEngine
) -> None:
    told = await report(client, engine, event_type=pb.STEP_EVENT_TYPE_FAILED, retry_after_ms=wish)
    assert told.retry_after_ms == told_ms


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ('{"a": 1}', b'{"a": 1}'),
        ("", b""),
        ("null", b""),
        (" null\n", b""),
        (' {"a": 1}\n', b'{"a": 1}'),
        ('"text"', b'"text"'),
        (r'{"path": "C:\\u0000"}', rb'{"path": "C:\\u0000"}'),
    ],
)
async def test_outputs_are_kept_as_they_came(
    text: str, output: bytes, client: Client, engine: RecordingEngine
) -> None:
    told = await report(client, engine, event_type=pb.STEP_EVENT_TYPE_COMPLETED, event_payload=text)
    assert (told.kind, told.payload) == (ReportKind.COMPLETED, output)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{broken", "invalid json in field `taskOutput`"),
        ('{"a": NaN}', "invalid json in field `taskOutput`"),
        ("[" * 251 + "]" * 251, "field `taskOutput` is nested more than 250 levels deep"),
        (r'{"a": "\u0000"}', r"null character (\u0000) in field `taskOutput`"),
        (r'{"a": "\\\u0000"}', r"null character (\u0000) in field `taskOutput`"),
        ('{"a": "\0"}', "invalid json in field `taskOutput`"),
    ],
)
async def test_an_output_that_cannot_be_kept_fails_the_task(
    text: str, error: str, client: Client, engine: RecordingEngine
) -> None:
    told = await report(client, engine, event_type=pb.STEP_EVENT_TYPE_COMPLETED, event_payload=text)
    assert (told.kind, told.payload.decode()) == (ReportKind.FAILED, error)


async def test_a_null_character_in_an_error_text_is_replaced_and_the_rest_kept(
    client: Client, engine: RecordingEngine
) -> None:
    told = await report(
        client, engine, event_type=pb.STEP_EVENT_TYPE_FAILED, event_payload="bad\0text\nlast line"
    )
    assert (told.kind, told.payload.decode()) == (ReportKind.FAILED, "bad\ufffdtext\nlast line")
    batch = pb.BatchActionEvent(
        event_type=pb.STEP_EVENT_TYPE_FAILED,
        items=[
            pb.BatchActionEventItem(
                task_run_external_id=str(TASK_ID), event_payload="\0 in a batch"
            )
        ],
    )
    await client.call("Dispatcher/SendBatchActionEvent", batch)
    ((told,),) = engine.calls["report_batch"]
    assert told.payload.decode() == "\ufffd in a batch"


@pytest.mark.parametrize(
    "event",
    [
        pb.StepActionEvent(task_run_external_id=str(TASK_ID)),
        pb.StepActionEvent(task_run_external_id="no-uuid", event_type=pb.STEP_EVENT_TYPE_COMPLETED),
        pb.StepActionEvent(event_type=pb.STEP_EVENT_TYPE_STARTED),
    ],
    ids=["unknown kind", "malformed id", "no id"],
)
async def test_reports_about_nothing_are_refused(
    event: pb.StepActionEvent, client: Client, engine: RecordingEngine
) -> None:
    code, _ = await refusal(client.call("Dispatcher/SendStepActionEvent", event))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert not engine.calls
