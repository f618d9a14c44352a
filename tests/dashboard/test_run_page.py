"""A run's page: state, payloads, event log, attempts, logs, graph, and who may see what."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.payloads import HEAD_BYTES
from engine.models import Run, StepWait, Task
from engine.operations import copy_schedulers
from engine.states import LogLevel, PayloadKind, Status, TaskEventKind
from tenants.models import Role, Tenant, User
from tests.dashboard import factories

EVIL = "<script>alert(1)</script>"
MAX_QUERIES = 6


def page(client: Client, tenant: Tenant, run: Run, query: str = "") -> str:
    answer = client.get(f"/t/{tenant.slug}/runs/{run.id}{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def task_of(run: Run) -> Task:
    return Task.objects.get(run_id=run.id)


@pytest.mark.parametrize("tab", ["", "timeline", "attempts", "logs", "children", "nonsense"])
def test_every_tab_costs_at_most_six_queries(
    tab: str,
    viewer: Client,
    tenant: Tenant,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    version = factories.make_version(
        tenant, "flow", [factories.step("a"), factories.step("b", "a"), factories.step("c", "b")]
    )
    states = {"a": Status.COMPLETED, "b": Status.FAILED}
    run = factories.make_run(version, Status.FAILED, step_states=states)
    for task in Task.objects.filter(run_id=run.id):
        factories.add_event(task, TaskEventKind.QUEUED)
        factories.add_log(task, "a line")
    with django_assert_max_num_queries(MAX_QUERIES):
        page(viewer, tenant, run, f"?tab={tab}")


def test_shows_input_and_output_as_text(viewer: Client, tenant: Tenant) -> None:
    data = json.dumps({"name": EVIL}).encode()
    run = factories.make_run(factories.make_version(tenant), given=data)
    factories.add_outcome(task_of(run), PayloadKind.OUTPUT, b'{"greeting":"Hi"}')
    text = page(viewer, tenant, run)
    assert "&quot;greeting&quot;: &quot;Hi&quot;" in text
    assert "&lt;script&gt;alert(1)" in text
    assert EVIL not in text


def test_hides_payloads_from_members_who_may_not_see_them(
    tenant: Tenant, sign_in: Callable[[User], Client]
) -> None:
    run = factories.make_run(factories.make_version(tenant), given=b'{"secret": "hunter2"}')
    task = task_of(run)
    factories.add_outcome(task, PayloadKind.OUTPUT, b'{"secret": "hunter3"}')
    client = sign_in(factories.make_member(tenant, Role.MEMBER, can_view_payloads=False))
    text = page(client, tenant, run)
    assert "hunter" not in text
    assert "Hidden" in text
    base = f"/t/{tenant.slug}/runs/{run.id}"
    assert client.get(f"{base}/input/{run.id}").status_code == 404
    assert client.get(f"{base}/output/{task.id}").status_code == 404
    again = client.get(f"/t/{tenant.slug}/trigger?workflow={run.workflow_id}&from={run.id}")
    assert "hunter" not in again.content.decode()


def test_admins_always_see_payloads(tenant: Tenant, sign_in: Callable[[User], Client]) -> None:
    run = factories.make_run(factories.make_version(tenant), given=b'{"secret": "hunter2"}')
    admin = sign_in(factories.make_member(tenant, Role.ADMIN, can_view_payloads=False))
    assert "hunter2" in page(admin, tenant, run)


def test_a_large_payload_is_cut_and_downloaded_whole(viewer: Client, tenant: Tenant) -> None:
    data = json.dumps({"text": "x" * HEAD_BYTES * 2, "end": "last-of-all"}).encode()
    run = factories.make_run(factories.make_version(tenant), given=data)
    text = page(viewer, tenant, run)
    assert "last-of-all" not in text
    assert len(text) < HEAD_BYTES * 1.5
    answer = viewer.get(f"/t/{tenant.slug}/runs/{run.id}/input/{run.id}")
    assert answer.content == data
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 5000, b"1e999", b'{"a":1', b"9" * 6000])
def test_stored_bytes_that_are_no_neat_json_are_still_shown(
    data: bytes, viewer: Client, tenant: Tenant
) -> None:
    run = factories.make_run(factories.make_version(tenant), given=data)
    page(viewer, tenant, run)


def test_attempts_hold_their_own_errors(viewer: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant), Status.FAILED)
    task = task_of(run)
    Task.objects.filter(id=task.id).update(retry_count=1)
    for attempt in (0, 1):
        factories.add_event(task, TaskEventKind.QUEUED, attempt=attempt)
        factories.add_event(task, TaskEventKind.STARTED, attempt=attempt, after_ms=10)
        factories.add_event(task, TaskEventKind.FAILED, attempt=attempt, after_ms=20)
        error = f"Traceback (most recent call last):\n  x\nBoom{attempt}: {EVIL}"
        factories.add_outcome(task, PayloadKind.ERROR, error.encode(), attempt)
    text = page(viewer, tenant, run, "?tab=attempts")
    assert text.index("#2") < text.index("#1")
    assert "Boom0" in text
    assert "Boom1" in text
    assert EVIL not in text


def test_the_timeline_says_what_happened_newest_first(viewer: Client, tenant: Tenant) -> None:
    worker = factories.make_worker(tenant, "w-7")
    run = factories.make_run(factories.make_version(tenant), worker=worker)
    task = task_of(run)
    factories.add_event(task, TaskEventKind.QUEUED)
    factories.add_event(task, TaskEventKind.STARTED, after_ms=5)
    factories.add_event(task, TaskEventKind.REQUEUED_NO_WORKER, message=EVIL)
    text = page(viewer, tenant, run)
    assert text.index("no worker can take it") < text.index("<b>Started</b>")
    assert "on w-7" in text
    assert EVIL not in text


def test_equal_log_lines_are_all_kept_and_text(viewer: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant))
    for _ in range(3):
        factories.add_log(task_of(run), f"same {EVIL}", LogLevel.ERROR)
    text = page(viewer, tenant, run, "?tab=logs")
    assert text.count("same &lt;script&gt;") == 3
    whole = viewer.get(f"/t/{tenant.slug}/runs/{run.id}/log.txt")
    assert whole.content.decode().count("same") == 3
    assert whole["Content-Type"].startswith("text/plain")


def test_a_graph_has_a_table_twin_with_every_step(viewer: Client, tenant: Tenant) -> None:
    steps = [factories.step("a"), factories.step("b", "a"), factories.step("c", "b")]
    version = factories.make_version(tenant, "flow", steps)
    states = {"a": Status.COMPLETED, "b": Status.RUNNING}
    run = factories.make_run(version, Status.RUNNING, step_states=states)
    text = " ".join(page(viewer, tenant, run).split())
    assert text.count("<path class=") == 2
    for name, state in (("a", "completed"), ("b", "running"), ("c", "pending")):
        assert f'<a class="node s-{state}" href="#step-{name}"' in text
        assert f'<tr id="step-{name}">' in text


def test_children_and_parents_are_linked(viewer: Client, tenant: Tenant) -> None:
    version = factories.make_version(tenant)
    parent = factories.make_run(version)
    child = factories.make_run(version, parent_run_id=parent.id, parent_task_id=parent.id)
    assert f"/runs/{child.id}" in page(viewer, tenant, parent, "?tab=children")
    assert f"/runs/{parent.id}" in page(viewer, tenant, child)


@pytest.mark.parametrize("status", Status)
def test_only_unfinished_runs_listen_for_changes(
    status: Status, viewer: Client, tenant: Tenant
) -> None:
    run = factories.make_run(factories.make_version(tenant), status)
    is_live = f'data-live="run:{run.id} workers"' in page(viewer, tenant, run)
    assert is_live is not status.is_final


def test_a_queued_run_says_what_it_waits_for(
    viewer: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_schedulers, "FRESH_FOR", timedelta(0))  # a page of now, each time
    run = factories.make_run(factories.make_version(tenant), Status.QUEUED)
    assert "No engine is running" in page(viewer, tenant, run)
    engine_id = factories.make_lease(tenant).engine_id
    assert "No worker that offers flow:say is connected." in page(viewer, tenant, run)
    worker = factories.make_worker(tenant, is_paused=True, engine_id=engine_id)
    factories.make_worker(tenant, "other", actions=["flow:other"])
    factories.make_worker(factories.make_tenant("Elsewhere"))
    text = page(viewer, tenant, run)
    assert str(worker.id) not in re.sub(r'href="[^"]*"', "", text)
    assert "Worker worker-1, which offers flow:say, is paused." in text
    assert "notice warning" in text
    worker.is_paused, worker.slots = False, {"default": 0}
    worker.save(update_fields=["is_paused", "slots"])
    text = page(viewer, tenant, run)
    assert "are in use (0 of 0 on worker" in text
    assert "notice calm" in text
    later = datetime.now(UTC) + timedelta(minutes=1)
    Task.objects.filter(run_id=run.id).update(is_delayed=True, due_at=later)
    assert f"{later:%H:%M:%S}" in page(viewer, tenant, run)


def test_a_run_says_which_conditions_it_waits_for(viewer: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant), Status.QUEUED)
    task = Task.objects.get(run_id=run.id)
    Task.objects.filter(id=task.id).update(is_delayed=True, due_at=None)
    assert "waits for the steps before it" in page(viewer, tenant, run)
    later = datetime.now(UTC) + timedelta(minutes=1)
    made = {"task_id": task.id, "tenant_id": tenant.id, "run_id": run.id}
    made |= {"version_id": run.version_id, "step_id": task.step_id}
    StepWait.objects.create(ordinal=0, due_at=later, **made)
    StepWait.objects.create(ordinal=1, event_key="order:paid", **made)
    StepWait.objects.create(ordinal=2, event_key="seen", satisfied_at=later, **made)
    text = page(viewer, tenant, run)
    assert f"a sleep until {later:%Y-%m-%d %H:%M:%S} UTC, the event order:paid." in text
    assert "event seen" not in text


def test_an_unchanged_run_is_not_sent_twice(member: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant), Status.RUNNING)
    url = f"/t/{tenant.slug}/runs/{run.id}/live"
    first = member.get(url)
    assert b"csrfmiddlewaretoken" in first.content
    again = member.get(url, headers={"HX-PTag": first["HX-PTag"]})
    assert again.status_code == 304
    Run.objects.filter(id=run.id).update(status=Status.FAILED)
    assert member.get(url, headers={"HX-PTag": first["HX-PTag"]}).status_code == 200


def test_the_fragment_is_what_the_page_includes(viewer: Client, tenant: Tenant) -> None:
    run = factories.make_run(factories.make_version(tenant))
    fragment = viewer.get(f"/t/{tenant.slug}/runs/{run.id}/live?tab=logs").content.decode()
    assert fragment in page(viewer, tenant, run, "?tab=logs")
