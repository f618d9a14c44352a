"""The first generation's PutWorkflow: the same definitions, and what has no place in them by name."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from engine.domain.definition import Concurrency, StepDefinition, WorkflowDefinition
from engine.pb import workflows_pb2 as pb
from engine.pb.v1.shared import trigger_pb2
from engine.states import ConcurrencyStrategy, StepKind, Sticky
from engine.types import DesiredLabel
from tests.rpc.client import TENANT_ID, Client, refusal
from tests.rpc.recording_engine import RecordingEngine

PUT = "WorkflowService/PutWorkflow"


def step(name: str = "fetch", **options: Any) -> pb.CreateWorkflowStepOpts:
    given = {"readable_id": name, "action": f"Orders:{name}"} | options
    return pb.CreateWorkflowStepOpts(**given)


def job(*steps: pb.CreateWorkflowStepOpts) -> pb.CreateWorkflowJobOpts:
    return pb.CreateWorkflowJobOpts(name="job", steps=steps)


def workflow(**options: Any) -> pb.PutWorkflowRequest:
    given = {"name": "Orders", "jobs": [job(step())]} | options
    return pb.PutWorkflowRequest(opts=pb.CreateWorkflowVersionOpts(**given))


async def test_it_is_the_same_definition_and_answers_a_version(
    client: Client, engine: RecordingEngine
) -> None:
    answer = await client.call(PUT, workflow())
    expected = WorkflowDefinition("Orders", (StepDefinition("fetch", "orders:fetch"),))
    assert engine.calls["put_workflow"] == [(TENANT_ID, expected)]
    assert (answer.workflow_id, answer.id) == (str(engine.ids[0]), str(engine.ids[1]))
    assert answer.order == 3
    assert not answer.scheduled_workflows


async def test_every_option_reaches_the_engine(client: Client, engine: RecordingEngine) -> None:
    pay = step(
        "pay",
        parents=["fetch"],
        timeout="1m30s",
        retries=3,
        backoff_factor=2.5,
        backoff_max_seconds=60,
        worker_labels={"zone": trigger_pb2.DesiredWorkerLabels(str_value="eu")},
        inputs="ignored",
        user_data="{}",
    )
    request = workflow(
        description="text",
        version="ignored",
        event_triggers=["order:created"],
        cron_triggers=["0 * * * *"],
        cron_input='{"a":1}',
        jobs=[job(step()), job(pay)],
        on_failure_job=job(step("tidy")),
        schedule_timeout="1h",
        sticky=pb.HARD,
        kind=pb.DAG,
        default_priority=3,
        concurrency=pb.WorkflowConcurrencyOpts(
            expression="input.user", max_runs=2, limit_strategy=pb.GROUP_ROUND_ROBIN
        ),
    )
    await client.call(PUT, request)
    ((_, made),) = engine.calls["put_workflow"]
    fetch, pay_step, tidy = made.steps
    assert (made.description, made.event_triggers) == ("text", ("order:created",))
    assert (made.cron_triggers, made.cron_input) == (("0 * * * *",), '{"a":1}')
    assert (made.sticky, made.default_priority) == (Sticky.HARD, 3)
    strategy = ConcurrencyStrategy.GROUP_ROUND_ROBIN
    assert made.concurrency == (Concurrency("input.user", 2, strategy),)
    assert {s.schedule_timeout_seconds for s in made.steps} == {3600.0}
    assert (fetch.readable_id, tidy.kind) == ("fetch", StepKind.ON_FAILURE)
    assert (pay_step.parents, pay_step.execution_timeout_seconds) == (("fetch",), 90.0)
    assert (pay_step.retries, pay_step.backoff_factor, pay_step.backoff_max_seconds) == (3, 2.5, 60)
    assert pay_step.worker_labels == (DesiredLabel("zone", "eu"),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"scheduled_triggers": [Timestamp(seconds=1)]},
            "workflow Orders: not supported: scheduled_triggers",
        ),
        (
            {"concurrency": pb.WorkflowConcurrencyOpts(action="orders:key")},
            "workflow Orders: not supported: concurrency.action",
        ),
        (
            {"on_failure_job": job(step("a"), step("b"))},
            "workflow Orders: not supported: on_failure_job with other than one step",
        ),
        ({"kind": pb.DURABLE}, "workflow Orders: not supported: kind DURABLE"),
        (
            {"jobs": [job(step(user_data='{"a":1}'))]},
            "task fetch: not supported: user_data",
        ),
        ({"jobs": []}, "workflow Orders has no tasks"),
        ({"jobs": [job(step()), job(step())]}, 'two tasks are named "fetch"'),
        (
            {"concurrency": pb.WorkflowConcurrencyOpts(limit_strategy=pb.DROP_NEWEST)},
            "workflow Orders: concurrency",
        ),
        ({"concurrency": pb.WorkflowConcurrencyOpts(max_runs=1)}, "concurrency expression"),
        ({"schedule_timeout": "soon"}, "task fetch: schedule_timeout"),
    ],
)
async def test_what_has_no_place_is_refused_by_name(
    options: dict[str, Any], message: str, client: Client, engine: RecordingEngine
) -> None:
    code, text = await refusal(client.call(PUT, workflow(**options)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message in text
    assert not engine.calls
