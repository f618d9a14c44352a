"""What programs ask for often costs few statements, and a trigger's answer none of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from engine.domain.definition import Concurrency, Idempotency, StepCondition
from engine.models import Task
from engine.states import ConditionAction, ConditionKind
from tenants.models import Member
from tests.api.client import ApiClient
from tests.api.factories import begin, complete, make_workflow, start_run, step, tasks_of
from tests.cast import Cast

STABLE = "/api/v1/stable"
NAP = StepCondition(ConditionKind.SLEEP, ConditionAction.QUEUE, 0, "1h", "nap", "", 3600.0)
CONTROL = re.compile(r"(RELEASE )?SAVEPOINT")

WORKFLOWS: dict[str, dict[str, Any]] = {
    "standalone": {"steps": [step("greet")]},
    "graph": {"steps": [step("a"), step("b"), step("c", "a", "b")]},
    "durable": {"steps": [step("sleepy", is_durable=True)]},
    "waiting": {"steps": [step("a", conditions=(NAP,))]},
    "waiting graph": {"steps": [step("a"), step("b", conditions=(NAP,)), step("c", "a")]},
    "keyed": {"steps": [step("greet")], "idempotency": Idempotency("input.n", 60_000)},
    "limited": {
        "steps": [step("greet")],
        "concurrency": (Concurrency(expression="input.n", max_runs=1),),
    },
    "keyless": {
        "steps": [step("greet")],
        "concurrency": (Concurrency(expression="input.missing", max_runs=1),),
    },
}


def statements(ask: Callable[[], Any]) -> list[str]:
    """What is asked of the database once that is known which never changes."""
    ask()
    with CaptureQueriesContext(connection) as captured:
        ask()
    sent = [query["sql"] for query in captured]
    return [statement for statement in sent if not CONTROL.match(statement)]


@pytest.fixture
def tenant(cast: Cast) -> str:
    return f"{STABLE}/tenants/{cast.tenant.id}"


@pytest.fixture
def run(cast: Cast) -> str:
    make_workflow(cast.tenant)
    run = start_run(cast.tenant, value={"who": "x"}, metadata={"team": "a"})
    complete(tasks_of(run)[0], {"greeting": "hi"})
    return str(run.id)


@pytest.mark.parametrize("steps", [("a",), ("a", "b", "c")])
def test_a_trigger_takes_four(
    cast: Cast, api: ApiClient, tenant: str, steps: tuple[str, ...]
) -> None:
    """The tenant, the workflow's version, the rows of the run, and word to the engines."""
    make_workflow(cast.tenant, "flow", *map(step, steps))
    body = {"workflowName": "flow", "input": {"who": "x"}, "additionalMetadata": {"k": "v"}}
    sent = statements(lambda: api.post(f"{tenant}/workflow-runs/trigger", body))
    assert len(sent) == 4, sent


@pytest.mark.parametrize(
    ("part", "most"), [("", 6), ("/status", 2), ("/task-events", 5), ("/task-timings", 3)]
)
def test_reading_a_run_takes_few(api: ApiClient, run: str, part: str, most: int) -> None:
    sent = statements(lambda: api.get(f"{STABLE}/workflow-runs/{run}{part}"))
    assert len(sent) <= most, sent


@pytest.mark.parametrize("only_tasks", ["true", "false"])
def test_a_list_takes_six(api: ApiClient, tenant: str, run: str, only_tasks: str) -> None:
    query = {"since": "2020-01-01T00:00:00Z", "only_tasks": only_tasks}
    sent = statements(lambda: api.get(f"{tenant}/workflow-runs", query))
    assert len(sent) <= 6, sent


@pytest.mark.parametrize(("verb", "most"), [("cancel", 8), ("replay", 12)])
def test_cancel_and_replay_take_few(
    cast: Cast, api: ApiClient, tenant: str, verb: str, most: int
) -> None:
    make_workflow(cast.tenant)
    ids = iter([str(start_run(cast.tenant).id) for _ in range(2)])
    for task in Task.objects.all():
        complete(task, {}) if verb == "replay" else begin(task)
    sent = statements(lambda: api.post(f"{tenant}/tasks/{verb}", {"externalIds": [next(ids)]}))
    assert len(sent) <= most, sent


class TestAnswersOfTriggers:
    """They are made of what was written, and say what reading the run says."""

    @pytest.mark.parametrize("kind", WORKFLOWS)
    @pytest.mark.parametrize("metadata", [None, {"k": "v", "n": 1e3}])
    def test_whatever_the_workflow(
        self, cast: Cast, api: ApiClient, tenant: str, kind: str, metadata: object
    ) -> None:
        options = dict(WORKFLOWS[kind])
        make_workflow(cast.tenant, kind, *options.pop("steps"), **options)
        body = {"workflowName": kind, "input": {"n": "1"}, "additionalMetadata": metadata}
        answer = api.post(f"{tenant}/workflow-runs/trigger", body)
        assert answer.status == 200, answer.content
        run_id = answer.json["run"]["metadata"]["id"]
        assert answer.json == api.get(f"{STABLE}/workflow-runs/{run_id}").json

    def test_of_somebody_who_may_not_see_payloads(self, cast: Cast, tenant: str) -> None:
        make_workflow(cast.tenant)
        Member.objects.filter(tenant=cast.tenant, user=cast.member).update(can_view_payloads=False)
        member = ApiClient(user=cast.member)
        body = {"workflowName": "greet", "input": {"secret": 1}, "additionalMetadata": {"k": "v"}}
        answer = member.post(f"{tenant}/workflow-runs/trigger", body).json
        assert answer["run"]["payloadsRestricted"] is True
        assert answer["run"]["input"] == {}
        run_id = answer["run"]["metadata"]["id"]
        assert answer == member.get(f"{STABLE}/workflow-runs/{run_id}").json
