"""Expressions too costly to be evaluated on the spot come to the same, wherever they are used."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.domain.concurrency import claims_of
from engine.domain.definition import (
    Batch,
    Concurrency,
    DefaultFilter,
    Idempotency,
    RateLimit,
    StepCondition,
    StepDefinition,
    WorkflowDefinition,
)
from engine.domain.rate_limits import limits_of
from engine.errors import IdempotencyCollision, InvalidArgument
from engine.models import CelFailure, Run, Task
from engine.operations.parts.versions import load_versions
from engine.operations.push_events import push_events
from engine.operations.put_workflow import put_workflow
from engine.operations.trigger_runs import trigger_runs
from engine.sandbox.pool import sandbox
from engine.states import ConditionAction, ConditionKind, Status
from engine.store import sync_db
from engine.types import EventInput, TriggerRequest
from tests.operations.durable import DurableFlow, event, sleep
from tests.operations.flow import Flow

pytestmark = pytest.mark.django_db

WORDS = [f"word-{n}" for n in range(60)]
DATA = orjson.dumps({"l": WORDS})
ALL = "input.l.map(a, input.l.map(b, a + b)).size()"
HOSTILE = "input.l.map(a, input.l.map(b, input.l.map(c, input.l.map(d, [a, b])))).size() > 0"


@pytest.fixture(autouse=True)
def is_asked(db: None) -> Any:
    """Each of these expressions is evaluated elsewhere."""
    before = sandbox.counts["answered"]
    yield
    assert sandbox.counts["answered"] > before


def single(**options: Any) -> StepDefinition:
    return StepDefinition("run", "flow:run", **options)


def stored(flow: Flow, run_id: Any) -> Any:
    return Task.objects.get(run_id=run_id).concurrency_keys


def test_a_concurrency_key_and_its_limit() -> None:
    key = f"workflow_run_id + string({ALL})"
    flow = Flow(single(concurrency=(Concurrency(key, max_runs_expression=ALL),)))
    run_id = flow.trigger(DATA)
    claims = claims_of(flow.version, flow.version.steps[0], stored(flow, run_id))
    assert claims is not None
    (claim,) = claims.chain
    assert (claim.group.key, claim.max_runs) == (f"{run_id}60", 60)


def test_a_batch_key_and_rate_limits() -> None:
    flow = Flow(
        single(
            batch=Batch(2, 1000, f"'b' + string({ALL})"),
            rate_limits=(RateLimit("k", units_expression=ALL, limit_expression=f"{ALL} + 1"),),
        )
    )
    keys = stored(flow, flow.trigger(DATA))
    assert orjson.loads(keys)["batch"][0] == "b60"
    assert [claim[:3] for claim in limits_of(keys)] == [("k", 60, 61)]


def test_keys_of_steps_that_follow() -> None:
    later = StepDefinition(
        "later", "flow:later", parents=("run",), concurrency=(Concurrency(f"string({ALL})"),)
    )
    flow = Flow(single(), later)
    run_id = flow.trigger(DATA)
    flow.run("run")
    task = Task.objects.get(run_id=run_id, step_id=flow.version.steps[1].id)
    assert orjson.loads(task.concurrency_keys or "")["keys"] == ["60"]


def test_an_idempotency_key() -> None:
    flow = Flow(single())
    flow.put(
        WorkflowDefinition("flow", (single(),), idempotency=Idempotency(f"string({ALL})", 60_000))
    )
    operation = trigger_runs(flow.tenant_id, [TriggerRequest("flow", DATA)], flow.now)
    (run_id,) = sync_db.run(operation)
    with pytest.raises(IdempotencyCollision) as collision:
        flow.trigger(DATA)
    assert collision.value.collisions[0].existing == run_id
    flow.put(
        WorkflowDefinition(
            "flow", (single(),), idempotency=Idempotency(f"{HOSTILE} ? 'a' : 'b'", 1)
        )
    )
    with pytest.raises(InvalidArgument, match="idempotency key of workflow flow: "):
        flow.trigger(DATA)


def test_a_key_that_takes_too_much_fails_its_task_in_words() -> None:
    flow = Flow(single(concurrency=(Concurrency(f"{HOSTILE} ? 'a' : 'b'"),)))
    run_id = flow.trigger(DATA)
    details = flow.details(run_id)
    assert details.status is Status.FAILED
    assert "failed to parse" in (details.tasks[0].error or "")


def test_conditions_on_parents_and_events() -> None:
    skip = StepCondition(
        ConditionKind.PARENT,
        ConditionAction.SKIP,
        0,
        "run",
        "run",
        f"{ALL.replace('input', 'output')} == 60",
    )
    wait = StepCondition(ConditionKind.EVENT, ConditionAction.QUEUE, 0, "go", "go", f"{ALL} == 60")
    flow = Flow(
        single(),
        StepDefinition("skipped", "flow:skipped", parents=("run",), conditions=(skip,)),
        StepDefinition("waiting", "flow:waiting", parents=("run",), conditions=(wait,)),
    )
    run_id = flow.trigger()
    flow.run("run", l=WORDS)
    assert flow.outcomes(run_id)["skipped"] is Status.COMPLETED
    flow.push("go", l=[])
    assert "waiting" not in flow.queue
    flow.push("go", l=WORDS)
    flow.run("waiting")
    assert flow.details(run_id).status is Status.COMPLETED


def test_filters_see_the_event_they_are_asked_about() -> None:
    flow = Flow(single())
    expression = f"{ALL} == 60 && input.l.map(a, input.l.map(b, a + event_id)).size() == 60"
    definition = WorkflowDefinition(
        "flow",
        (single(),),
        event_triggers=("pushed",),
        default_filters=(
            DefaultFilter(expression, "scope"),
            DefaultFilter(f"{ALL} == 61", "scope"),
            DefaultFilter(HOSTILE, "scope"),
        ),
    )
    sync_db.run(put_workflow(flow.tenant_id, definition, flow.now))
    events = [EventInput("pushed", data, scope="scope") for data in (DATA, b'{"l":[]}', DATA)]
    records = sync_db.run(push_events(flow.tenant_id, events, flow.now))
    started = Run.objects.filter(tenant_id=flow.tenant_id).values_list("event_id", flat=True)
    assert set(started) == {records[number].event_id for number in (0, 2)}
    assert len(started) == 2
    failures = CelFailure.objects.filter(tenant_id=flow.tenant_id)
    assert {(row.event_id, row.expression) for row in failures} == {
        (records[number].event_id, HOSTILE) for number in (0, 2)
    }


def test_waits_of_durable_tasks() -> None:
    flow = DurableFlow()
    flow.push_event("paid", scope="a", l=WORDS)
    since = flow.now - flow.now.resolution * 60_000_000
    met = flow.wait(event("paid", scope="a", since=since, expression=f"{ALL} == 60"))
    assert [told.node for told in flow.told] in ([], [met])
    flow.wait(event("sent", expression=f"{ALL} == 60"))
    told = len(flow.told)
    flow.push_event("sent", l=[])
    assert len(flow.told) == told
    flow.push_event("sent", l=WORDS)
    assert len(flow.told) == told + 1
    flow.wait(sleep("1s")._replace(expression="input.sleep_duration.matches(input.sleep_duration)"))
    flow.pass_time(2)
    assert len(flow.told) == told + 2


def test_children_with_costly_keys_keep_their_ids() -> None:
    flow = Flow(single(concurrency=(Concurrency(f"workflow_run_id + string({ALL})"),)))
    requests = [TriggerRequest("flow", DATA)] * 3
    ids = flow.do(trigger_runs(flow.tenant_id, requests, flow.now))
    assert len(set(ids)) == 3
    version = sync_db.run(load_versions([flow.version.id]))[flow.version.id]
    for run_id in ids:
        claims = claims_of(version, version.steps[0], stored(flow, run_id))
        assert claims is not None
        assert claims.chain[0].group.key == f"{run_id}60"
