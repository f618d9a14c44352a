"""Concurrency strategies of definitions: what the engine gets, and what is refused."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from engine.domain.definition import Concurrency
from engine.pb.v1 import workflows_pb2 as pb
from engine.states import ConcurrencyStrategy
from tests.rpc.client import Client, refusal
from tests.rpc.recording_engine import RecordingEngine

PUT = "v1.AdminService/PutWorkflow"


def request(
    task_level: list[pb.Concurrency] | None = None, **options: Any
) -> pb.CreateWorkflowVersionRequest:
    task = pb.CreateTaskOpts(readable_id="a", action="orders:a", concurrency=task_level)
    return pb.CreateWorkflowVersionRequest(name="Orders", tasks=[task], **options)


async def test_strategies_reach_the_engine_in_order_with_their_defaults(
    client: Client, engine: RecordingEngine
) -> None:
    shorthand = pb.Concurrency(
        expression="'constant'", max_runs=3, limit_strategy=pb.GROUP_ROUND_ROBIN
    )
    await client.call(
        PUT,
        request(
            [pb.Concurrency(expression="input.b", limit_strategy=pb.CANCEL_NEWEST)],
            concurrency=pb.Concurrency(expression="input.a"),
            concurrency_arr=[shorthand],
        ),
    )
    ((_, definition),) = engine.calls["put_workflow"]
    assert definition.concurrency == (
        Concurrency("input.a", 1, ConcurrencyStrategy.CANCEL_IN_PROGRESS),
        Concurrency("'constant'", 3, ConcurrencyStrategy.GROUP_ROUND_ROBIN),
    )
    assert definition.steps[0].concurrency == (
        Concurrency("input.b", 1, ConcurrencyStrategy.CANCEL_NEWEST),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expression": ""}, "concurrency expression is blank"),
        ({"expression": "input."}, "concurrency expression: "),
        ({"expression": "nobody"}, "concurrency expression: "),
        ({"max_runs": 0}, "concurrency: max_runs must be at least 1"),
        (
            {"limit_strategy": pb.DROP_NEWEST},
            "concurrency: not supported yet: limit_strategy DROP_NEWEST",
        ),
        (
            {"limit_strategy": pb.QUEUE_NEWEST},
            "concurrency: not supported yet: limit_strategy QUEUE_NEWEST",
        ),
        ({"limit_strategy": 77}, "concurrency: not supported yet: limit_strategy 77"),
        ({"max_runs": -4}, "concurrency: max_runs must be at least 1"),
        ({"is_tenant_scoped": True}, "concurrency: name is required"),
        ({"is_tenant_scoped": True, "name": " "}, "concurrency: name is required"),
        ({"is_tenant_scoped": True, "name": "a\0b"}, "concurrency: name contains"),
        ({"max_runs_expression": ""}, "concurrency: max_runs_expression is blank"),
        ({"max_runs_expression": "input."}, "concurrency: max_runs_expression: "),
        ({"max_runs_expression": "'3'"}, "concurrency: max_runs_expression: must come to a int"),
        ({"max_runs_expression": "nobody"}, "concurrency: max_runs_expression: "),
    ],
)
@pytest.mark.parametrize("level", ["workflow", "task"])
async def test_what_is_wrong_or_not_honoured_is_refused_by_name(
    level: str, options: dict[str, Any], message: str, client: Client, engine: RecordingEngine
) -> None:
    strategy = pb.Concurrency(**({"expression": "input.a"} | options))
    asked = request(concurrency_arr=[strategy]) if level == "workflow" else request([strategy])
    code, text = await refusal(client.call(PUT, asked))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    where = "workflow Orders" if level == "workflow" else "task a"
    assert text.startswith(f"{where}: {message}")
    assert "put_workflow" not in engine.calls


async def test_computed_limits_and_strategies_of_the_tenant_reach_the_engine(
    client: Client, engine: RecordingEngine
) -> None:
    shared = pb.Concurrency(
        expression="input.a",
        max_runs=1,
        max_runs_expression="input.tier == 'gold' ? 10 : 1",
        limit_strategy=pb.CANCEL_QUEUED_EXCEPT_OLDEST,
        name="everyone",
        is_tenant_scoped=True,
    )
    labelled = pb.Concurrency(expression="input.b", name="a label")
    await client.call(PUT, request(concurrency_arr=[shared, labelled]))
    ((_, definition),) = engine.calls["put_workflow"]
    assert definition.concurrency == (
        Concurrency(
            "input.a",
            1,
            ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_OLDEST,
            "input.tier == 'gold' ? 10 : 1",
            "everyone",
        ),
        Concurrency("input.b", 1, ConcurrencyStrategy.CANCEL_IN_PROGRESS),
    )


def shared(max_runs: int = 1) -> pb.Concurrency:
    return pb.Concurrency(
        expression="input.a", max_runs=max_runs, name="everyone", is_tenant_scoped=True
    )


async def test_a_task_that_would_wait_for_itself_is_refused(
    client: Client, engine: RecordingEngine
) -> None:
    twice = 'the tenant-scoped concurrency strategy "everyone" applies to it twice'
    code, text = await refusal(client.call(PUT, request([shared()], concurrency_arr=[shared()])))
    assert (code, text) == (grpc.StatusCode.INVALID_ARGUMENT, f"task a: {twice}")
    code, text = await refusal(client.call(PUT, request([shared(1), shared(2)])))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text.endswith('the tenant-scoped strategy "everyone" is declared twice, differently')
    assert "put_workflow" not in engine.calls
