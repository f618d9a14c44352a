"""The tasks of several DAG runs."""

from __future__ import annotations

from uuid import uuid4

import pytest

from engine.models import Run
from tenants.models import Member
from tests.api.client import ApiClient
from tests.api.factories import complete, make_workflow, start_run, step, tasks_of
from tests.cast import Cast

PATH = "/api/v1/stable/dags/tasks"


@pytest.fixture
def person(cast: Cast) -> ApiClient:
    return ApiClient(user=cast.owner)


@pytest.fixture
def dag(cast: Cast) -> Run:
    make_workflow(cast.tenant, "order", step("pay"), step("ship", "pay"))
    return start_run(cast.tenant, "order", {"n": 1})


def test_each_run_comes_with_its_tasks(cast: Cast, person: ApiClient, dag: Run) -> None:
    complete(tasks_of(dag)[0], {"paid": True})
    other = start_run(cast.tenant, "order")
    make_workflow(cast.tenant)
    single = start_run(cast.tenant)
    wanted = [str(other.id), str(dag.id), str(single.id), str(uuid4())]
    answer = person.get(PATH, {"tenant": str(cast.tenant.id), "dag_ids": wanted})
    assert answer.status == 200
    assert [row["dagId"] for row in answer.json] == wanted[:2]
    pay, ship = answer.json[1]["children"]
    assert (pay["status"], ship["status"]) == ("COMPLETED", "QUEUED")
    assert pay["output"] == {"paid": True}
    assert ship["displayName"].startswith("ship-")
    assert {row["workflowRunExternalId"] for row in (pay, ship)} == {str(dag.id)}


def test_who_may_not_see_payloads_does_not(cast: Cast, person: ApiClient, dag: Run) -> None:
    complete(tasks_of(dag)[0], {"secret": "hunter2"})
    Member.objects.filter(tenant=cast.tenant, user=cast.member).update(can_view_payloads=False)
    asked = {"tenant": str(cast.tenant.id), "dag_ids": [str(dag.id)]}
    answer = ApiClient(user=cast.member).get(PATH, asked)
    assert answer.status == 200
    assert b"hunter2" not in answer.content


def test_runs_of_another_tenant_are_left_out(cast: Cast, person: ApiClient) -> None:
    make_workflow(cast.other_tenant, "order", step("pay"), step("ship", "pay"))
    foreign = start_run(cast.other_tenant, "order")
    asked = {"tenant": str(cast.tenant.id), "dag_ids": [str(foreign.id)]}
    assert person.get(PATH, asked).json == []


def test_a_token_sees_the_runs_of_its_own_tenant(cast: Cast, api: ApiClient, dag: Run) -> None:
    asked = {"tenant": str(cast.tenant.id), "dag_ids": [str(dag.id)]}
    answer = api.get(PATH, asked)
    assert (answer.status, [row["dagId"] for row in answer.json]) == (200, [str(dag.id)])
    assert api.get(PATH, asked | {"tenant": str(cast.other_tenant.id)}).status == 403


@pytest.mark.parametrize(
    ("asked", "status", "named"),
    [
        ({"dag_ids": [str(uuid4())]}, 400, "tenant is required"),
        ({"tenant": "x", "dag_ids": [str(uuid4())]}, 400, "tenant"),
        ({"tenant": str(uuid4()), "dag_ids": [str(uuid4())]}, 404, "no such tenant"),
        ({"tenant": "", "dag_ids": []}, 400, "tenant"),
        ({"tenant": "own"}, 400, "dag_ids must name"),
        ({"tenant": "own", "dag_ids": ["x"]}, 400, "dag_ids"),
        ({"tenant": "own", "dag_ids": [str(uuid4())] * 101}, 400, "dag_ids must name"),
    ],
)
def test_a_wrong_question_is_refused(
    asked: dict[str, object], status: int, named: str, cast: Cast, person: ApiClient
) -> None:
    if asked.get("tenant") == "own":
        asked = asked | {"tenant": str(cast.tenant.id)}
    answer = person.get(PATH, asked)
    assert answer.status == status
    assert named in answer.error
