"""Rate limits in definitions and as clients set them: what the engine gets, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from engine.domain.definition import RateLimit
from engine.errors import NotFound
from engine.pb import workflows_pb2
from engine.pb.v1 import workflows_pb2 as pb
from engine.states import RateLimitWindow
from tests.rpc.client import Client, refusal
from tests.rpc.recording_engine import NOW, RecordingEngine

PUT_WORKFLOW = "v1.AdminService/PutWorkflow"
PUT = "WorkflowService/PutRateLimit"
PAUSE = "WorkflowService/PauseRateLimit"


def request(*limits: pb.CreateTaskRateLimit) -> pb.CreateWorkflowVersionRequest:
    task = pb.CreateTaskOpts(readable_id="a", action="orders:a", rate_limits=limits)
    return pb.CreateWorkflowVersionRequest(name="Orders", tasks=[task])


async def test_plain_limits_and_expressions_reach_the_engine(
    client: Client, engine: RecordingEngine
) -> None:
    plain = pb.CreateTaskRateLimit(key="api", units=2, limit_values_expr="-1", duration=pb.SECOND)
    dynamic = pb.CreateTaskRateLimit(
        key="input.user",
        key_expr="input.user",
        units_expr="input.units",
        limit_values_expr="10",
        duration=pb.HOUR,
    )
    await client.call(PUT_WORKFLOW, request(plain, dynamic, pb.CreateTaskRateLimit(key="bare")))
    ((_, definition),) = engine.calls["put_workflow"]
    assert definition.steps[0].rate_limits == (
        RateLimit("api", "", 2, "", "-1", RateLimitWindow.SECOND),
        RateLimit("", "input.user", 1, "input.units", "10", RateLimitWindow.HOUR),
        RateLimit("bare", "", 1, "", "", RateLimitWindow.MINUTE),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": ""}, "key is blank"),
        ({"key": " "}, "key is blank"),
        ({"key": "k" * 10_240}, "key is longer than 500 characters"),
        ({"key": "a\0b"}, "key contains a null character"),
        ({"units": -1}, "units cannot be negative"),
        ({"duration": 17}, "duration 17 is unknown"),
        ({"key_expr": "input."}, "key_expr: "),
        ({"key_expr": "1 + 1"}, "key_expr: must come to a string, not int"),
        ({"units_expr": "nobody"}, "units_expr: "),
        ({"limit_values_expr": "1 +"}, "limit_values_expr: "),
        ({"limit_values_expr": "1" * 9_000}, "limit_values_expr is longer than 8000 characters"),
    ],
)
async def test_a_wrong_limit_is_refused_with_its_place(
    options: dict[str, Any], message: str, client: Client, engine: RecordingEngine
) -> None:
    fields: dict[str, Any] = {"key": "k"} | options
    limit = pb.CreateTaskRateLimit(**fields)
    code, text = await refusal(client.call(PUT_WORKFLOW, request(limit)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text.startswith(f"task a: rate_limits[0]: {message}")
    assert "put_workflow" not in engine.calls


async def test_too_many_limits_are_refused(client: Client) -> None:
    limits = [pb.CreateTaskRateLimit(key=f"k{n}") for n in range(51)]
    code, text = await refusal(client.call(PUT_WORKFLOW, request(*limits)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text == "task a: rate_limits: at most 50 are allowed, not 51"


async def test_a_limit_is_set(client: Client, engine: RecordingEngine) -> None:
    await client.call(
        PUT, workflows_pb2.PutRateLimitRequest(key="api", limit=0, duration=workflows_pb2.YEAR)
    )
    ((_, *asked),) = engine.calls["put_rate_limit"]
    assert asked == ["api", 0, RateLimitWindow.YEAR]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": ""}, "key is blank"),
        ({"key": "k" * 10_240}, "key is longer than 500 characters"),
        ({"key": "a\0b"}, "key contains a null character"),
        ({"limit": -1}, "limit cannot be negative"),
        ({"duration": 7}, "duration 7 is unknown"),
    ],
)
async def test_a_wrong_setting_is_refused(
    options: dict[str, Any], message: str, client: Client, engine: RecordingEngine
) -> None:
    fields: dict[str, Any] = {"key": "k", "limit": 1} | options
    asked = workflows_pb2.PutRateLimitRequest(**fields)
    code, text = await refusal(client.call(PUT, asked))
    assert (code, text) == (grpc.StatusCode.INVALID_ARGUMENT, message)
    assert "put_rate_limit" not in engine.calls


async def test_a_limit_is_paused_and_the_pauses_end_answered(
    client: Client, engine: RecordingEngine
) -> None:
    until = datetime(2026, 3, 1, tzinfo=UTC)
    stamp = Timestamp()
    stamp.FromDatetime(until)
    response = await client.call(
        PAUSE, workflows_pb2.PauseRateLimitRequest(key="api", paused_until=stamp)
    )
    assert response.paused_until.ToDatetime(tzinfo=UTC) == NOW
    ((_, *asked),) = engine.calls["pause_rate_limit"]
    assert asked == ["api", until]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (workflows_pb2.PauseRateLimitRequest(paused_until=Timestamp(seconds=1)), "key is blank"),
        (workflows_pb2.PauseRateLimitRequest(key="k"), "paused_until is required"),
        (
            workflows_pb2.PauseRateLimitRequest(key="k", paused_until=Timestamp(seconds=1 << 60)),
            "paused_until is not a time we can represent",
        ),
    ],
)
async def test_a_wrong_pause_is_refused(
    asked: workflows_pb2.PauseRateLimitRequest, message: str, client: Client
) -> None:
    assert await refusal(client.call(PAUSE, asked)) == (grpc.StatusCode.INVALID_ARGUMENT, message)


async def test_a_pause_of_an_unknown_limit_is_not_found(
    client: Client, engine: RecordingEngine
) -> None:
    engine.failure = NotFound('there is no rate limit "k"')
    asked = workflows_pb2.PauseRateLimitRequest(key="k", paused_until=Timestamp(seconds=1))
    assert await refusal(client.call(PAUSE, asked)) == (
        grpc.StatusCode.NOT_FOUND,
        'there is no rate limit "k"',
    )
