"""The official SDK's feature clients work against the server, over real HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from engine.models import LogLine
from engine.states import LogLevel
from tenants.models import Tenant
from tenants.tokens import create_token, revoke_token
from tests.api.factories import (
    complete,
    make_worker,
    make_workflow,
    now,
    push_event,
    start_run,
    tasks_of,
)

pytestmark = pytest.mark.django_db(transaction=True)


def call_with_sdk(token: str, *arguments: str) -> dict[str, Any]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "tests.api.call_with_sdk", *arguments],
        env=environment | {"HATCHET_CLIENT_TOKEN": token, "HATCHET_CLIENT_TLS_STRATEGY": "none"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


SEEN = {
    "tenant": "sdk",
    "result": {"greeting": "hi"},
    "status": "COMPLETED",
    "task": {"greeting": "hi"},
    "logs": ["hello"],
    "new_input": {"who": "sdk"},
    "new_metadata": {"from": "sdk", "n": 2**64 + 1},
    "by_metadata": True,
    "completed": 1,
    "paginated": 4,
    "tasks": 4,
    "children_of": 1,
    "event_runs": 1,
    "metrics": {"cancelled": 0, "completed": 1, "failed": 0, "queued": 3, "running": 0},
    "queues": {"acts:greet": 2, "acts:on-order": 1},
    "stats": ["greet", "on-order"],
    "scraped": True,
    "workers": ["ACTIVE"],
    "event": [{"n": 1}],
    "webhooks": [],
    "workflow": "greet",
    "version": 1,
    "cancelled": "CANCELLED",
    "replayed": 1,
    "cancelled_again": "CANCELLED",
    "paused": "PAUSED",
    "resumed": "ACTIVE",
    "deleted": [],
    "unknown_workflow": 400,
}


@pytest.fixture
def tenant(live_server: LiveServer, settings: Settings) -> Tenant:
    settings.HATCHET = replace(settings.HATCHET, server_url=live_server.url)
    return Tenant.objects.create(name="SDK", slug="sdk")


def test_feature_clients_see_and_change_what_is_there(tenant: Tenant) -> None:
    make_workflow(tenant, "greet")
    make_workflow(tenant, "on-order", event_triggers=("order:*",))
    # On a busy machine the SDK's process alone may take longer than a heartbeat stays fresh.
    worker = make_worker(tenant, last_heartbeat_at=now() + timedelta(minutes=10))
    run = start_run(tenant, value={"who": "x"})
    complete(tasks_of(run)[0], {"greeting": "hi"})
    start_run(tenant, parent_task_id=run.id, child_index=0)
    event = push_event(tenant, "order:paid", {"n": 1})
    LogLine.objects.create(
        run_id=run.id,
        task_id=run.id,
        tenant_id=tenant.id,
        retry_count=0,
        level=LogLevel.INFO,
        message="hello",
        created_at=now(),
    )
    token = create_token(tenant, "sdk")[1]
    seen = call_with_sdk(token, str(run.id), str(worker.id), str(event.event_id))
    assert seen == SEEN


def test_a_revoked_token_is_forbidden_in_another_process(tenant: Tenant) -> None:
    record, token = create_token(tenant, "sdk")
    assert call_with_sdk(token) == {"status": 200}
    revoke_token(record.id)
    assert call_with_sdk(token) == {"status": 403}
