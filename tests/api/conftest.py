"""Every test here has a cast, a client for each of them, and an API token."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pytest_django import Settings

from engine.config import Config
from engine.models import LogLine
from engine.states import LogLevel
from tenants import token_cache
from tenants.buckets import Buckets
from tenants.rest import views
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.api.factories import (
    begin,
    complete,
    fail,
    make_one_of_each,
    make_worker,
    make_workflow,
    now,
    push_event,
    start_run,
    step,
    tasks_of,
)
from tests.cast import Cast, make_cast
from tests.installation import make_installation


@pytest.fixture(autouse=True)
def installation(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """A token that was asked for is known until it is revoked, however slow the test is.

    And nobody asks too often, however fast it is.
    """
    here = make_installation()
    settings.HATCHET = here
    token_cache.shared.clear()
    monkeypatch.setattr(token_cache.shared, "_clock", lambda: 0.0)
    monkeypatch.setattr(views, "asked", Buckets(1e9, 1e9))
    yield here
    token_cache.shared.clear()


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


@pytest.fixture
def api(cast: Cast) -> ApiClient:
    """A client with a valid API token of the tenant."""
    return ApiClient(token=create_token(cast.tenant, "tests")[1])


@pytest.fixture
def resources(cast: Cast) -> dict[str, str]:
    """One existing resource of every kind, so that no refusal is owed to its absence."""
    return make_one_of_each(cast.tenant)


@pytest.fixture
def world(cast: Cast) -> dict[str, str]:
    """Runs in every state, of a standalone workflow and of a DAG, with logs, events and workers."""
    make_workflow(
        cast.tenant,
        "greet",
        step("greet", retries=1),
        event_triggers=("order:*",),
        default_priority=2,
        input_json_schema='{"type":"object"}',
    )
    dag = make_workflow(cast.tenant, "dag", step("one"), step("two", "one"))
    worker = make_worker(cast.tenant)
    make_worker(cast.tenant, "w2", is_paused=True, language="GO")
    make_worker(cast.tenant, "w3", last_heartbeat_at=now() - timedelta(minutes=5), language="")
    start_run(cast.tenant, value={"who": "queued"})
    running = start_run(cast.tenant, metadata={"team": "a", "n": 1})
    begin(tasks_of(running)[0], worker)
    done = start_run(cast.tenant)
    complete(tasks_of(done)[0], {"greeting": "hi"})
    failed = start_run(cast.tenant)
    fail(tasks_of(failed)[0], "no luck", should_not_retry=True)
    retried = start_run(cast.tenant)
    fail(tasks_of(retried)[0], "first try")
    graph = start_run(cast.tenant, "dag", parent_task_id=tasks_of(done)[0].id, child_index=0)
    complete(tasks_of(graph)[0], {"n": 1})
    event = push_event(cast.tenant, "order:paid", {"n": 1}, metadata={"a": "b"}, scope="eu")
    LogLine.objects.create(
        run_id=done.id,
        task_id=done.id,
        tenant_id=cast.tenant.id,
        retry_count=0,
        level=LogLevel.WARN,
        message="careful",
        created_at=now(),
    )
    return {
        "done": str(done.id),
        "failed": str(failed.id),
        "retried": str(retried.id),
        "graph": str(graph.id),
        "graph_task": str(tasks_of(graph)[0].id),
        "event": str(event.event_id),
        "worker": str(worker.id),
        "workflow": str(dag.workflow_id),
        "version": str(dag.version_id),
    }
