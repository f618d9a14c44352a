"""The trace of a run on its page: drawn by the server, whoever looks."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from engine.models import Run, Task
from engine.operations.record_spans import record_spans
from engine.otlp.intake import Intake
from engine.otlp.spans import SpanReader
from engine.states import Status, TaskEventKind
from engine.store import sync_db
from engine.tracing_config import TracingConfig
from tenants.models import Role, Tenant, User
from tests.dashboard import factories
from tests.otlp import request, span

EVIL = "<script>alert(1)</script>"
MAX_QUERIES = 18


def page(client: Client, tenant: Tenant, run: Run) -> str:
    answer = client.get(f"/t/{tenant.slug}/runs/{run.id}?tab=trace")
    assert answer.status_code == 200
    return answer.content.decode()


def store(tenant: Tenant, *spans: Any) -> None:
    reader = SpanReader(tenant.id, Intake(TracingConfig()), datetime.now(UTC))
    found = [each for each in reader.read(request(*spans)) if each is not None]
    assert all(sync_db.run(record_spans(found)))


@pytest.fixture
def run(tenant: Tenant) -> Run:
    run = factories.make_run(factories.make_version(tenant), Status.RUNNING)
    task = Task.objects.get(run_id=run.id)
    for kind in (TaskEventKind.QUEUED, TaskEventKind.ASSIGNED):
        factories.add_event(task, kind)
    return run


def test_the_engines_spans_are_there_by_themselves(
    viewer: Client, tenant: Tenant, run: Run
) -> None:
    text = page(viewer, tenant, run)
    assert text.count('<svg class="bar"') == 3
    assert run.id.hex in text
    assert "hatchet.engine.start_step_run" in text
    assert 'class="s-running"' in text


def test_spans_of_clients_are_shown_with_what_they_say(
    viewer: Client, tenant: Tenant, run: Run
) -> None:
    said = {"k": EVIL, "hatchet.payload": '{"pin":1}'}
    mine = span(run.id, f"charge {EVIL}", trace_id=run.id.bytes, attributes=said)
    store(tenant, mine, span(run.id, "elsewhere"))
    text = page(viewer, tenant, run)
    assert "charge &lt;script&gt;" in text
    assert EVIL not in text
    assert "{&quot;pin&quot;:1}" in text
    assert "elsewhere" in text


def test_payloads_are_hidden_from_those_who_may_not_see_them(
    tenant: Tenant, run: Run, sign_in: Callable[[User], Client]
) -> None:
    store(
        tenant,
        span(run.id, "mine", trace_id=run.id.bytes, attributes={"hatchet.payload": "a secret"}),
    )
    member = factories.make_member(tenant, Role.VIEWER, can_view_payloads=False)
    text = page(sign_in(member), tenant, run)
    assert "mine" in text
    assert "a secret" not in text


def test_runs_beside_it_in_its_trace_are_left_out_and_children_are_not(
    viewer: Client, tenant: Tenant, run: Run
) -> None:
    version = factories.make_version(tenant, "other")
    child = factories.make_run(version, Status.RUNNING)
    traceparent = {"traceparent": f"00-{run.id.hex}-00f067aa0ba902b7-01"}
    task = Task.objects.get(run_id=run.id)
    Run.objects.filter(id=child.id).update(
        parent_run_id=run.id, parent_task_id=task.id, additional_metadata=traceparent
    )
    beside = factories.make_run(version, Status.RUNNING)
    Run.objects.filter(id=beside.id).update(additional_metadata=traceparent)
    for other, name in ((child, "of-the-child"), (beside, "of-the-other")):
        store(tenant, span(other.id, name, trace_id=run.id.bytes))
    text = page(viewer, tenant, run)
    assert "of-the-child" in text
    assert "of-the-other" not in text


def test_of_what_names_no_run_it_shows_what_the_run_hangs_below(
    viewer: Client, tenant: Tenant, run: Run
) -> None:
    """A client may trigger thousands of runs in one trace."""
    ids = [number.to_bytes(8) for number in (1, 2, 3)]
    said = {"attributes": {"instrumentor": "hatchet"}, "trace_id": run.id.bytes}
    traceparent = {"traceparent": f"00-{run.id.hex}-{ids[1].hex()}-01"}
    Run.objects.filter(id=run.id).update(additional_metadata=traceparent)
    store(
        tenant,
        span(None, "above", span_id=ids[0], **said),
        span(None, "my-trigger", span_id=ids[1], parent_span_id=ids[0], **said),
        span(None, "another-trigger", span_id=ids[2], parent_span_id=ids[0], **said),
    )
    text = page(viewer, tenant, run)
    assert "above" in text
    assert "my-trigger" in text
    assert "another-trigger" not in text


def test_a_long_trace_is_cut_and_says_so(
    viewer: Client,
    tenant: Tenant,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr("dashboard.waterfall.SPANS_SHOWN", 20)
    store(tenant, *(span(run.id, "many", trace_id=run.id.bytes) for _ in range(30)))
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, tenant, run)
    assert text.count('<svg class="bar"') == 20
    assert "13 later spans are not shown" in text


def test_nothing_in_it_is_inline(viewer: Client, tenant: Tenant, run: Run) -> None:
    """The policy of the site forbids styles and scripts in pages."""
    text = page(viewer, tenant, run)
    drawn = text[text.index('class="trace"') :]
    assert not re.search(r"\sstyle=|<style|<script(?! src)|\son[a-z]+=", drawn)
