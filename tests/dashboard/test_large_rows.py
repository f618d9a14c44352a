"""However much runs, events and settings carry, a page about many of them stays small."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client

from engine.models import Cron, Filter, LogLine, Schedule, Task, Worker
from engine.states import DurableKind, LogLevel, PayloadKind, Status, TaskEventKind
from tenants.models import Role, Tenant
from tests.dashboard import factories
from tests.fetched import counting_bytes

LARGE = 300_000
MOST = 600_000


def large() -> dict[str, str]:
    return {"customer": "x" * LARGE}


def page(client: Client, url: str, most: int = MOST) -> str:
    with counting_bytes() as fetched:
        answer = client.get(url)
    assert answer.status_code == 200
    assert len(answer.content) < most
    assert fetched.bytes < 2 * most
    return answer.content.decode()


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}"


def test_runs_and_one_of_them(viewer: Client, tenant: Tenant, url: str) -> None:
    version = factories.make_version(tenant)
    runs = [factories.make_run(version, metadata=large()) for _ in range(10)]
    small = factories.make_run(version, metadata={"customer": "42"})
    for path in ("runs", "runs/live"):
        text = page(viewer, f"{url}/{path}")
        assert all(f'id="run-{run.id}"' in text for run in [*runs, small])
        assert "customer:42" in text
        assert text.count("metadata of 293.0") == 10
    assert "metadata of 293.0" in page(viewer, f"{url}/runs/{runs[0].id}")


def test_events_and_one_of_them(viewer: Client, tenant: Tenant, url: str) -> None:
    carried = orjson.dumps(large())
    events = [
        factories.push_event(tenant, payload=carried, additional_metadata=carried)
        for _ in range(10)
    ]
    text = page(viewer, f"{url}/events")
    assert text.count("metadata of 293.0") == 10
    page(viewer, f"{url}/events/{events[0].id}")


def test_crons_scheduled_runs_and_filters(viewer: Client, tenant: Tenant, url: str) -> None:
    workflow = factories.make_version(tenant).workflow
    carried: dict[str, Any] = {
        "input": orjson.dumps(large()),
        "additional_metadata": large(),
        "created_at": workflow.created_at,
        "updated_at": workflow.created_at,
        "tenant": tenant,
        "workflow": workflow,
    }
    due = workflow.created_at + timedelta(days=1)
    crons = [
        Cron.objects.create(**carried, name=f"c{number}", expression="0 0 1 1 *", is_declared=False)
        for number in range(10)
    ]
    schedules = [Schedule.objects.create(**carried, trigger_at=due, due_at=due) for _ in range(10)]
    for number in range(10):
        Filter.objects.create(
            tenant=tenant,
            workflow=workflow,
            scope="s",
            expression="true",
            payload=orjson.dumps(large()),
            digest=number.to_bytes(32, "big"),
            is_declared=False,
            created_at=workflow.created_at,
            updated_at=workflow.created_at,
        )
    for path in ("crons", "scheduled"):
        assert page(viewer, f"{url}/{path}").count("metadata of 293.0") == 10
    page(viewer, f"{url}/filters")
    for path in (f"crons/{crons[0].id}", f"scheduled/{schedules[0].id}"):
        text = page(viewer, f"{url}/{path}", most=200_000)
        assert "metadata of 293.0" in text
        assert f"{url}/{path}/input.json" in text
        whole = viewer.get(f"{url}/{path}/input.json")
        assert whole.content == orjson.dumps(large())


def test_an_input_is_not_handed_to_who_may_not_see_payloads(
    tenant: Tenant, url: str, stranger: Client
) -> None:
    blind = Client()
    blind.force_login(factories.make_member(tenant, Role.MEMBER, can_view_payloads=False))
    version = factories.make_version(tenant)
    cron, schedule = factories.make_cron(version), factories.make_schedule(version)
    for path in (f"crons/{cron.id}", f"scheduled/{schedule.id}"):
        assert blind.get(f"{url}/{path}/input.json").status_code == 404
        assert stranger.get(f"{url}/{path}/input.json").status_code == 404


def test_workflows_and_workers(viewer: Client, tenant: Tenant, url: str) -> None:
    for number in range(30):
        factories.make_version(tenant, f"w{number}", schema={"about": "x" * LARGE})
        factories.make_worker(tenant)
    Worker.objects.update(
        labels={f"l{number}": "x" * 1_000 for number in range(300)},
        actions=["a" * LARGE],
        runtime_extra="r" * LARGE,
    )
    text = page(viewer, f"{url}/workflows", most=4_000_000)
    assert text.count('id="workflow-') >= 30
    page(viewer, f"{url}/workers")
    versions = [
        factories.make_version(tenant, "w1", schema={"about": "y" * LARGE}) for _ in range(10)
    ]
    page(viewer, f"{url}/workflows/{versions[0].workflow_id}")


def test_a_run_of_many_tasks_and_long_logs(viewer: Client, tenant: Tenant, url: str) -> None:
    names = [f"s{number}" for number in range(60)]
    version = factories.make_version(tenant, "graph", [factories.step(name) for name in names])
    states = dict.fromkeys(names, Status.COMPLETED)
    run = factories.make_run(version, step_states=states)
    tasks = list(Task.objects.filter(run_id=run.id))
    for task in tasks:
        factories.add_outcome(task, PayloadKind.OUTPUT, b'"' + b"x" * LARGE + b'"')
        factories.add_event(task, TaskEventKind.FAILED, message="e" * LARGE)
        LogLine.objects.create(
            run_id=run.id,
            task_id=task.id,
            tenant_id=tenant.id,
            retry_count=0,
            level=LogLevel.INFO,
            message="m" * 100,
            metadata=large(),
            created_at=run.created_at,
        )
    for tab in ("timeline", "attempts", "logs"):
        page(viewer, f"{url}/runs/{run.id}?tab={tab}", most=3_000_000)


def test_the_log_of_a_durable_task(viewer: Client, tenant: Tenant, url: str) -> None:
    step = factories.step("say", is_durable=True, slots={"durable": 1})
    run = factories.make_run(factories.make_version(tenant, "long", [step]), Status.RUNNING)
    (task,) = Task.objects.filter(run_id=run.id)
    items = [{"kind": "USER_EVENT", "eventKey": "k" * LARGE}]
    for node_id in range(1, 11):
        factories.add_durable_step(
            task,
            node_id,
            kind=DurableKind.WAIT_FOR,
            detail=orjson.dumps(items).decode(),
            satisfied_at=run.created_at,
        )
    text = page(viewer, f"{url}/runs/{run.id}?tab=durable")
    assert text.count("More conditions than a page can show") == 10
