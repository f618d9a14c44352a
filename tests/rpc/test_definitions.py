"""PutWorkflow: the definition the engine gets, and every rule and option that refuses one."""

from __future__ import annotations

import math
from typing import Any

import grpc
import pytest

from engine.domain.definition import (
    DefaultFilter,
    Idempotency,
    StepDefinition,
    WorkflowDefinition,
)
from engine.pb.v1 import workflows_pb2 as pb
from engine.pb.v1.shared import condition_pb2, trigger_pb2
from engine.states import Comparator, IdempotencyMethod, StepKind, Sticky
from engine.types import DesiredLabel
from tests.rpc.client import TENANT_ID, Client, refusal
from tests.rpc.recording_engine import RecordingEngine

PUT = "v1.AdminService/PutWorkflow"


def task(name: str = "fetch", **options: Any) -> pb.CreateTaskOpts:
    return pb.CreateTaskOpts(**({"readable_id": name, "action": f"Orders:{name}"} | options))


def workflow(**options: Any) -> pb.CreateWorkflowVersionRequest:
    return pb.CreateWorkflowVersionRequest(**({"name": "Orders", "tasks": [task()]} | options))


WANTED = trigger_pb2.DesiredWorkerLabels(int_value=1)


def filter_on(expression: str, **options: Any) -> pb.DefaultFilter:
    return pb.DefaultFilter(**({"expression": expression, "scope": "s"} | options))


async def test_the_smallest_definition_gets_the_defaults(
    client: Client, engine: RecordingEngine
) -> None:
    answer = await client.call(PUT, workflow())
    assert (answer.id, answer.workflow_id) == (str(engine.ids[0]), str(engine.ids[1]))
    step = StepDefinition(
        readable_id="fetch",
        action_id="orders:fetch",
        execution_timeout="60s",
        execution_timeout_seconds=60,
        schedule_timeout="5m",
        schedule_timeout_seconds=300,
        slots={"default": 1},
    )
    assert engine.calls["put_workflow"] == [(TENANT_ID, WorkflowDefinition("Orders", (step,)))]


def with_every_option() -> pb.CreateWorkflowVersionRequest:
    pay = task(
        "pay",
        parents=["fetch"],
        timeout="1m30s",
        schedule_timeout="1h",
        retries=3,
        backoff_factor=2.5,
        backoff_max_seconds=60,
        slot_requests={"gpu": 2},
        inputs="ignored",
    )
    return workflow(
        tasks=[pay, task("fetch")],
        on_failure_task=task("a-mend", action="orders:a-mend:Now"),
        description="what orders need",
        version="ignored",
        event_triggers=["order:created", "order:*", "order:created"],
        cron_triggers=["0 9 * * 1-5", "TZ=Europe/Berlin @midnight", "@every 5m", "0 9 * * 1-5"],
        cron_input='{"from": "cron"}',
        default_filters=[
            pb.DefaultFilter(expression="input.n > 1", scope="s", payload=b'{"a": 1}'),
            pb.DefaultFilter(expression="", scope="t"),
        ],
        default_priority=3,
        input_json_schema=b'{"type": "object"}',
    )


async def test_every_supported_option_reaches_the_engine(
    client: Client, engine: RecordingEngine
) -> None:
    await client.call(PUT, with_every_option())
    ((_, definition),) = engine.calls["put_workflow"]
    assert definition == WorkflowDefinition(
        name="Orders",
        description="what orders need",
        event_triggers=("order:created", "order:*"),
        cron_triggers=("0 9 * * 1-5", "TZ=Europe/Berlin @midnight", "@every 5m"),
        cron_input='{"from": "cron"}',
        default_filters=(
            DefaultFilter("input.n > 1", "s", '{"a": 1}'),
            DefaultFilter("", "t"),
        ),
        default_priority=3,
        input_json_schema='{"type": "object"}',
        steps=(
            StepDefinition(readable_id="fetch", action_id="orders:fetch"),
            StepDefinition(
                readable_id="pay",
                action_id="orders:pay",
                parents=("fetch",),
                execution_timeout="1m30s",
                execution_timeout_seconds=90,
                schedule_timeout="1h",
                schedule_timeout_seconds=3600,
                retries=3,
                backoff_factor=2.5,
                backoff_max_seconds=60,
                slots={"gpu": 2},
            ),
            StepDefinition(
                readable_id="a-mend", action_id="orders:a-mend:now", kind=StepKind.ON_FAILURE
            ),
        ),
    )


async def test_a_backoff_factor_alone_may_grow_for_a_day(
    client: Client, engine: RecordingEngine
) -> None:
    await client.call(PUT, workflow(tasks=[task(backoff_factor=1)]))
    (step,) = engine.calls["put_workflow"][0][1].steps
    assert (step.backoff_factor, step.backoff_max_seconds) == (1.0, 86_400)


async def test_idempotency_arrives(client: Client, engine: RecordingEngine) -> None:
    await client.call(PUT, workflow(idempotency=keyed_by("input.a", ttl_ms=5_000)))
    by_status = keyed_by("checksum(input.a)", method=pb.STATUS)
    await client.call(PUT, workflow(idempotency=by_status))
    assert [call[1].idempotency for call in engine.calls["put_workflow"]] == [
        Idempotency("input.a", 5_000, IdempotencyMethod.TTL),
        Idempotency("checksum(input.a)", 1_000, IdempotencyMethod.STATUS),
    ]


async def test_desired_labels_arrive_with_their_defaults(
    client: Client, engine: RecordingEngine
) -> None:
    labels = {
        "zone": trigger_pb2.DesiredWorkerLabels(str_value="eu"),
        "memory": trigger_pb2.DesiredWorkerLabels(
            int_value=0, required=True, comparator=trigger_pb2.GREATER_THAN, weight=0
        ),
    }
    await client.call(PUT, workflow(tasks=[task(worker_labels=labels)], sticky=pb.SOFT))
    definition = engine.calls["put_workflow"][0][1]
    assert definition.sticky is Sticky.SOFT
    assert definition.steps[0].worker_labels == (
        DesiredLabel("memory", 0, Comparator.GREATER_THAN, 0, True),
        DesiredLabel("zone", "eu", Comparator.EQUAL, 100, False),
    )
    await client.call(PUT, workflow(sticky=pb.HARD))
    assert engine.calls["put_workflow"][1][1].sticky is Sticky.HARD


async def test_defaults_that_sdks_send_are_no_options(
    client: Client, engine: RecordingEngine
) -> None:
    bare = task(conditions=condition_pb2.TaskConditions(), slot_requests={"default": 1})
    await client.call(PUT, workflow(tasks=[bare], cron_input="{}", description=""))
    assert len(engine.calls["put_workflow"]) == 1


def keyed_by(expression: str, ttl_ms: int = 1_000, **options: Any) -> pb.IdempotencyConfig:
    return pb.IdempotencyConfig(expression=expression, ttl_ms=ttl_ms, **options)


def desiring(label: str, **desired: Any) -> pb.CreateWorkflowVersionRequest:
    labels = {label: trigger_pb2.DesiredWorkerLabels(**desired)}
    return workflow(tasks=[task(worker_labels=labels)])


@pytest.mark.parametrize(
    ("request_message", "named"),
    [
        (workflow(name=""), "name is required"),
        (workflow(name="two words"), 'name: "two words"'),
        (workflow(name="ä"), 'name: "ä"'),
        (workflow(name="newline\n"), "name:"),
        (workflow(tasks=[]), "workflow Orders has no tasks"),
        (workflow(tasks=[task("")]), "readable_id is required"),
        (workflow(tasks=[task("a b")]), "readable_id"),
        (workflow(tasks=[task("a"), task("a")]), 'two tasks are named "a"'),
        (workflow(on_failure_task=task("fetch")), 'two tasks are named "fetch"'),
        (workflow(tasks=[task(action="")]), "task fetch: action"),
        (workflow(tasks=[task(action="a")]), "task fetch: action"),
        (workflow(tasks=[task(action="a:")]), "task fetch: action"),
        (workflow(tasks=[task(action="a:b:c:d")]), "task fetch: action"),
        (workflow(tasks=[task(parents=["ghost"])]), 'dag parent not found: "ghost"'),
        (workflow(tasks=[task(parents=["fetch"])]), "the parents of these tasks form a cycle"),
        (
            workflow(tasks=[task("a", parents=["b"]), task("b", parents=["a"])]),
            "the parents of these tasks form a cycle: a, b",
        ),
        (
            workflow(tasks=[task("a"), task("b", parents=["a", "a"])]),
            "task b: a parent is named twice",
        ),
        (workflow(on_failure_task=task("x", parents=["fetch"])), "on_failure_task x"),
        (workflow(tasks=[task(timeout="soon")]), "task fetch: timeout"),
        (workflow(tasks=[task(timeout="1d")]), "task fetch: timeout"),
        (workflow(tasks=[task(schedule_timeout="-1s")]), "task fetch: schedule_timeout"),
        (workflow(tasks=[task(retries=-1)]), "task fetch: retries"),
        (workflow(tasks=[task(backoff_factor=0.5)]), "task fetch: backoff_factor"),
        (workflow(tasks=[task(backoff_factor=1001)]), "task fetch: backoff_factor"),
        (workflow(tasks=[task(backoff_factor=math.nan)]), "task fetch: backoff_factor"),
        (workflow(tasks=[task(backoff_max_seconds=0)]), "task fetch: backoff_max_seconds"),
        (workflow(tasks=[task(backoff_max_seconds=86_401)]), "task fetch: backoff_max_seconds"),
        (workflow(tasks=[task(slot_requests={"default": 0})]), "task fetch: slot_requests"),
        (workflow(tasks=[task(slot_requests={"": 1})]), "task fetch: slot_requests"),
        (desiring("zone"), 'task fetch: worker_labels "zone" needs either'),
        (desiring("", str_value="eu"), "task fetch: worker_labels key is required"),
        (desiring("zone", str_value="\0"), 'task fetch: worker_labels "zone"'),
        (
            desiring("zone", str_value="eu", comparator=3),
            'task fetch: worker_labels "zone": GREATER',
        ),
        (
            desiring("zone", int_value=1, comparator=9),
            'task fetch: worker_labels "zone": comparator',
        ),
        (workflow(sticky=7), "sticky"),
        (workflow(idempotency=keyed_by("")), "idempotency expression is blank"),
        (workflow(idempotency=keyed_by("input.")), "idempotency expression: "),
        (workflow(idempotency=keyed_by("workflow_run_id")), "idempotency expression: "),
        (workflow(idempotency=keyed_by("1 + 1")), "idempotency expression: must come to a string"),
        (workflow(idempotency=keyed_by("input.a", ttl_ms=0)), "idempotency: ttl_ms"),
        (workflow(idempotency=keyed_by("input.a", ttl_ms=2**60)), "idempotency: ttl_ms"),
        (workflow(idempotency=keyed_by("input.a", method=5)), "idempotency: method"),
        (workflow(default_priority=0), "default_priority"),
        (workflow(default_priority=4), "default_priority"),
        (workflow(event_triggers=[""]), "event_triggers"),
        (workflow(event_triggers=["a\0"]), "event_triggers"),
        (workflow(cron_triggers=["61 * * * *"]), 'cron_triggers: "61 * * * *"'),
        (workflow(cron_triggers=["a b c d e f"]), 'cron_triggers: "a b c d e f"'),
        (workflow(cron_triggers=["@reboot"]), 'cron_triggers: "@reboot"'),
        (workflow(cron_triggers=["@every 0s"]), 'cron_triggers: "@every 0s"'),
        (workflow(cron_triggers=[f"{n} * * * *" for n in range(60)] * 2), "cron_triggers: at most"),
        (workflow(cron_triggers=["* * * * *"], cron_input="[]"), "cron_input"),
        (workflow(cron_triggers=["* * * * *"], cron_input="{"), "cron_input"),
        (workflow(default_filters=[filter_on("1 +")]), "default_filters[0].expression: line 1"),
        (workflow(default_filters=[filter_on("'a'")]), "default_filters[0].expression: must come"),
        (workflow(default_filters=[filter_on("true", scope="")]), "default_filters[0].scope"),
        (
            workflow(default_filters=[filter_on("true"), filter_on("true", payload=b"[]")]),
            "default_filters[1].payload must be a JSON object",
        ),
        (workflow(default_filters=[filter_on("true")] * 501), "default_filters: at most"),
        (workflow(tasks=[task(f"t{n}") for n in range(10_001)]), "tasks: at most 10000"),
        (workflow(event_triggers=[f"e{n}" for n in range(10_001)]), "event_triggers: at most"),
        (
            workflow(concurrency_arr=[pb.Concurrency(expression="'a'")] * 101),
            "workflow Orders: concurrency: at most",
        ),
        (
            workflow(tasks=[task(concurrency=[pb.Concurrency(expression="'a'")] * 101)]),
            "task fetch: concurrency: at most",
        ),
        (
            workflow(tasks=[task(slot_requests={f"s{n}": 1 for n in range(1_001)})]),
            "task fetch: slot_requests: at most",
        ),
        (
            workflow(tasks=[task(worker_labels={f"l{n}": WANTED for n in range(1_001)})]),
            "task fetch: worker_labels: at most",
        ),
        (workflow(description="\0"), "description"),
        (workflow(input_json_schema=b"{"), "input_json_schema"),
        (workflow(input_json_schema=b"[]"), "input_json_schema"),
    ],
)
async def test_a_wrong_definition_is_refused_and_nothing_is_stored(
    request_message: pb.CreateWorkflowVersionRequest,
    named: str,
    client: Client,
    engine: RecordingEngine,
) -> None:
    code, message = await refusal(client.call(PUT, request_message))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith(named)
    assert not engine.calls


async def test_a_graph_of_500_tasks_is_taken_in_order(
    client: Client, engine: RecordingEngine
) -> None:
    """Sent backwards, each with the twenty tasks before it as parents."""
    tasks = [
        task(f"t{n:03}", parents=[f"t{before:03}" for before in range(max(0, n - 20), n)])
        for n in reversed(range(500))
    ]
    await client.call(PUT, workflow(tasks=tasks))
    ((_, definition),) = engine.calls["put_workflow"]
    assert [step.readable_id for step in definition.steps] == [f"t{n:03}" for n in range(500)]
