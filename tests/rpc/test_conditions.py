"""Conditions in PutWorkflow: what the engine gets, what a restart of a worker may not change, refusals."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from engine.domain.definition import StepCondition, WorkflowDefinition
from engine.domain.definition_form import canonical_form, checksum, from_canonical_form
from engine.pb.v1 import workflows_pb2 as pb
from engine.pb.v1.shared import condition_pb2
from engine.rpc.definitions import parse_definition
from engine.states import ConditionAction, ConditionKind
from tests.rpc.client import Client, refusal
from tests.rpc.recording_engine import RecordingEngine

PUT = "v1.AdminService/PutWorkflow"


LONG = "input.n == 1 || " * 90 + "input.ok"
"""Compiled in a process of its own."""


def base(**options: Any) -> condition_pb2.BaseMatchCondition:
    options.setdefault("readable_data_key", "k")
    options.setdefault("action", condition_pb2.QUEUE)
    return condition_pb2.BaseMatchCondition(**options)


def parent(name: str, **options: Any) -> condition_pb2.ParentOverrideMatchCondition:
    return condition_pb2.ParentOverrideMatchCondition(parent_readable_id=name, base=base(**options))


def sleep(duration: str, **options: Any) -> condition_pb2.SleepMatchCondition:
    return condition_pb2.SleepMatchCondition(sleep_for=duration, base=base(**options))


def event(key: str, **options: Any) -> condition_pb2.UserEventMatchCondition:
    return condition_pb2.UserEventMatchCondition(user_event_key=key, base=base(**options))


def workflow(
    parents: list[Any] | None = None,
    sleeps: list[Any] | None = None,
    events: list[Any] | None = None,
) -> pb.CreateWorkflowVersionRequest:
    conditions = condition_pb2.TaskConditions(
        parent_override_conditions=parents or [],
        sleep_conditions=sleeps or [],
        user_event_conditions=events or [],
    )
    last = pb.CreateTaskOpts(
        readable_id="last", action="orders:last", parents=["first"], conditions=conditions
    )
    first = pb.CreateTaskOpts(readable_id="first", action="orders:first")
    return pb.CreateWorkflowVersionRequest(name="Orders", tasks=[first, last])


async def test_every_kind_of_condition_reaches_the_engine(
    client: Client, engine: RecordingEngine
) -> None:
    await client.call(
        PUT,
        workflow(
            [parent("first", action=condition_pb2.SKIP, expression="output.n > 5")],
            [sleep("1m30s", or_group_id="a", readable_data_key="nap"), sleep("1d")],
            [
                event("ns_go", or_group_id="a", expression=" input.ok "),
                event("ns_stop", action=condition_pb2.CANCEL),
            ],
        ),
    )
    ((_, definition),) = engine.calls["put_workflow"]
    assert isinstance(definition, WorkflowDefinition)
    assert definition.steps[1].conditions == (
        StepCondition(
            ConditionKind.PARENT, ConditionAction.SKIP, 0, "first", "first", "output.n > 5"
        ),
        StepCondition(ConditionKind.SLEEP, ConditionAction.QUEUE, 1, "1m30s", "nap", "", 90.0),
        StepCondition(ConditionKind.SLEEP, ConditionAction.QUEUE, 2, "1d", "k", "", 86_400.0),
        StepCondition(ConditionKind.EVENT, ConditionAction.QUEUE, 1, "ns_go", "k", "input.ok"),
        StepCondition(ConditionKind.EVENT, ConditionAction.CANCEL, 3, "ns_stop", "k"),
    )
    assert from_canonical_form(canonical_form(definition)) == definition


def test_what_sdks_make_up_at_each_start_does_not_change_the_definition() -> None:
    def as_of(start: str) -> pb.CreateWorkflowVersionRequest:
        return workflow(
            [parent("first", readable_data_key=f"first:{start}", or_group_id=f"x{start}")],
            [sleep("5s", or_group_id=f"y{start}")],
            [event("go", or_group_id=f"y{start}"), event("stop", or_group_id=f"x{start}")],
        )

    one, two = parse_definition(as_of("one")), parse_definition(as_of("two"))
    assert checksum(one) == checksum(two)
    regrouped = as_of("one")
    regrouped.tasks[1].conditions.user_event_conditions[0].base.or_group_id = "apart"
    assert checksum(parse_definition(regrouped)) != checksum(one)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (workflow([parent("first", action=0)]), "action must be QUEUE, CANCEL or SKIP"),
        (workflow([parent("other")]), '"other", which is not one of its parents'),
        (workflow([parent("last")]), '"last", which is not one of its parents'),
        (workflow(sleeps=[sleep("soon")]), 'sleep_for: "soon"'),
        (workflow(sleeps=[sleep("")]), 'sleep_for: ""'),
        (workflow(sleeps=[sleep("-5s")]), 'sleep_for: "-5s"'),
        (workflow(sleeps=[sleep("9999w")]), "longer than ten years"),
        (workflow(sleeps=[sleep("5s", readable_data_key=" ")]), "readable_data_key is required"),
        (workflow(events=[event("")]), "user_event_key is required"),
        (workflow(events=[event("go", expression="input.")]), "expression"),
        (workflow(events=[event("go", expression="1 + 1")]), "must come to a bool"),
        (workflow(events=[event("go", expression="nonsense > 1")]), "nonsense"),
        (workflow(events=[event("go", expression=f"{LONG} || nonsense")]), "nonsense"),
        (workflow(events=[event("go", expression=f"[{LONG}]")]), "must come to a bool"),
        (workflow(events=[event("go")] * 1001), "more than 1000 conditions"),
    ],
)
async def test_bad_conditions_are_refused_by_name(
    message: pb.CreateWorkflowVersionRequest, named: str, client: Client, engine: RecordingEngine
) -> None:
    code, text = await refusal(client.call(PUT, message))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "task last: " in text and named in text
    assert not engine.calls


async def test_an_on_failure_task_has_no_conditions(
    client: Client, engine: RecordingEngine
) -> None:
    request = workflow()
    conditions = condition_pb2.TaskConditions(sleep_conditions=[sleep("5s")])
    request.on_failure_task.CopyFrom(
        pb.CreateTaskOpts(readable_id="mend", action="orders:mend", conditions=conditions)
    )
    code, text = await refusal(client.call(PUT, request))
    assert (code, text) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "on_failure_task mend cannot have conditions",
    )


async def test_long_expressions_are_kept_as_they_are(
    client: Client, engine: RecordingEngine
) -> None:
    await client.call(PUT, workflow(events=[event(str(n), expression=LONG) for n in range(200)]))
    ((_, definition),) = engine.calls["put_workflow"]
    assert isinstance(definition, WorkflowDefinition)
    assert {condition.expression for condition in definition.steps[1].conditions} == {LONG}
