"""Workflows and runs, made by the operations that make them in production."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from engine.domain.definition import DefaultFilter, StepDefinition, WorkflowDefinition
from engine.ids import new_id
from engine.models import Cron, Filter, OutboxRow, Run, Task, Worker
from engine.operations.change_bulk_actions import stage_bulk_action
from engine.operations.group_failures import group_failures
from engine.operations.push_events import push_events
from engine.operations.put_workflow import PutWorkflow, put_workflow
from engine.operations.report_tasks import report_tasks
from engine.operations.timetable.change_schedules import schedule_runs
from engine.operations.trigger_runs import trigger_runs
from engine.states import BulkKind, OutboxKind, Status
from engine.store import sync_db
from engine.types import EventInput, EventRecord, ReportKind, RunFilter, TaskReport, TriggerRequest
from tenants.access import access_of_user
from tenants.models import Member, Role, Tenant
from tenants.people.invites import create_invite
from tenants.tokens import create_token
from tests.webhooks import alerting
from webhooks.accept import accept
from webhooks.arrived import Arrived
from webhooks.changes import NewWebhook, create_webhook
from webhooks.credentials import Credentials
from webhooks.models import AuthType, Webhook
from webhooks.outgoing.changes import NewEndpoint, create_endpoint, try_endpoint


def now() -> datetime:
    return datetime.now(UTC)


def step(name: str, *parents: str, **overrides: Any) -> StepDefinition:
    return StepDefinition(
        readable_id=name, action_id=f"acts:{name}", parents=tuple(parents), **overrides
    )


def make_workflow(
    tenant: Tenant, name: str = "greet", *steps: StepDefinition, **overrides: Any
) -> PutWorkflow:
    definition = WorkflowDefinition(name=name, steps=steps or (step(name),), **overrides)
    return sync_db.run(put_workflow(tenant.id, definition, now()))


def start_run(tenant: Tenant, name: str = "greet", value: object = None, **overrides: Any) -> Run:
    metadata = overrides.pop("metadata", None)
    request = TriggerRequest(
        workflow_name=name,
        input=orjson.dumps({} if value is None else value),
        additional_metadata=None if metadata is None else orjson.dumps(metadata),
        **overrides,
    )
    run_ids = sync_db.run(trigger_runs(tenant.id, [request], now()))
    return Run.objects.get(id=run_ids[0])


def schedule_greet(tenant: Tenant) -> UUID:
    """Schedule a run of `greet` for tomorrow; return the schedule's id."""
    times = [now() + timedelta(days=1)]
    made = sync_db.run(schedule_runs(tenant.id, TriggerRequest("greet"), times, now()))
    return made.schedules[0][0]


def stage_cancelling(tenant: Tenant) -> UUID:
    """Stage a bulk action that would cancel all runs of the tenant; return its id."""
    action_id, run_filter = new_id(), RunFilter(since=now() - timedelta(days=1), until=now())
    staged = stage_bulk_action(
        tenant.id, action_id, BulkKind.CANCEL, run_filter, total=0, now=now()
    )
    sync_db.run(staged)
    return action_id


def tasks_of(run: Run) -> list[Task]:
    return list(Task.objects.filter(run_id=run.id).order_by("id"))


def make_worker(tenant: Tenant, name: str = "w1", **overrides: Any) -> Worker:
    values: dict[str, Any] = {
        "actions": ["acts:greet"],
        "slots": {"default": 10},
        "labels": {"gpu": "a100", "memory": 512},
        "is_active": True,
        "last_heartbeat_at": now(),
        "last_listener_at": now(),
        "sdk_version": "1.43.1",
        "language": "PYTHON",
        "created_at": now(),
        "updated_at": now(),
    }
    return Worker.objects.create(tenant=tenant, name=name, **(values | overrides))


def begin(task: Task, worker: Worker | None = None) -> None:
    """Put a queued task on a worker and let it report that it started."""
    Task.objects.filter(id=task.id).update(
        status=Status.RUNNING, assigned_at=now(), worker_id=None if worker is None else worker.id
    )
    Run.objects.filter(id=task.run_id, status=Status.QUEUED).update(status=Status.RUNNING)
    report(task, ReportKind.STARTED)


def complete(task: Task, output: object) -> None:
    begin(task)
    report(task, ReportKind.COMPLETED, orjson.dumps(output))


def fail(task: Task, error: str, **overrides: Any) -> None:
    begin(task)
    report(task, ReportKind.FAILED, error.encode(), **overrides)


def report(task: Task, kind: ReportKind, payload: bytes = b"", **overrides: Any) -> None:
    word = TaskReport(
        tenant_id=task.tenant_id, task_id=task.id, kind=kind, payload=payload, **overrides
    )
    assert not sync_db.run(report_tasks([word], now()))


def failed_error(tenant: Tenant) -> UUID:
    """Let a run fail; return the id of the group its failure was counted into."""
    (task,) = tasks_of(start_run(tenant, value={"order": str(new_id())}))
    begin(task)
    fail(task, "ValueError: boom")
    return sync_db.run(group_failures(now())).groups[0].id


def push_event(tenant: Tenant, key: str, payload: object = None, **overrides: Any) -> EventRecord:
    metadata = overrides.pop("metadata", None)
    event = EventInput(
        key=key,
        payload=orjson.dumps({} if payload is None else payload),
        additional_metadata=None if metadata is None else orjson.dumps(metadata),
        **overrides,
    )
    return sync_db.run(push_events(tenant.id, [event], now()))[0]


def make_one_of_each(tenant: Tenant) -> dict[str, str]:
    """One existing thing of every kind that paths name, by the names of their places."""
    workflow = make_workflow(
        tenant, cron_triggers=("0 3 * * *",), default_filters=(DefaultFilter("true", "a"),)
    )
    run = start_run(tenant)
    webhook = make_webhook(tenant, "greet")
    members = Member.objects.filter(tenant=tenant)
    owner = access_of_user(members.filter(role=Role.OWNER)[0].user, tenant)
    email = f"new@{tenant.slug}.test"
    new = NewEndpoint(url="https://example.com/hook", kinds=["run.failed"])
    endpoint = create_endpoint(tenant.id, new, now())[0]
    return {
        "tenant": str(tenant.id),
        "run": str(run.id),
        "task": str(tasks_of(run)[0].id),
        "workflow": str(workflow.workflow_id),
        "name": "greet",
        "cron": str(Cron.objects.get(tenant=tenant).id),
        "scheduled": str(schedule_greet(tenant)),
        "filter": str(Filter.objects.get(tenant=tenant).id),
        "worker": str(make_worker(tenant).id),
        "event": str(push_event(tenant, "order:paid").event_id),
        "delivery": str(deliver(webhook, b"{}")),
        "endpoint": str(endpoint.id),
        "message": str(try_endpoint(endpoint, now())),
        "token": str(create_token(tenant, "other")[0].id),
        "member": str(members.order_by("-role")[0].id),
        "invite": str(create_invite(owner, email=email, role=Role.VIEWER).invite.id),
        "action": str(stage_cancelling(tenant)),
        "row": str(make_outbox_row(tenant).id),
        **alerting.make_one_of_each(tenant),
        "error": str(failed_error(tenant)),
    }


def make_outbox_row(tenant: Tenant, failure: str | None = "no", **fields: Any) -> OutboxRow:
    """What a program asked for in SQL; without a failure it waits for an engine."""
    given = {"kind": OutboxKind.ENQUEUE, "name": "greet", "data": b'{"secret": 1}', "size": 13}
    failed_at = now() if failure else None
    return OutboxRow.objects.create(
        tenant_id=tenant.id,
        role="app",
        created_at=now(),
        failed_at=failed_at,
        failure=failure,
        **given | fields,
    )


def make_webhook(tenant: Tenant, name: str) -> Webhook:
    new = NewWebhook(
        name=name,
        source_name="GENERIC",
        event_key_expression="'order:' + input.type",
        credentials=Credentials(
            auth_type=AuthType.API_KEY, secret="a webhook's secret", header_name="X-Key"
        ),
    )
    return create_webhook(tenant.id, new, now())


def deliver(webhook: Webhook, body: bytes) -> UUID:
    """Send something without the key; return the id of what is kept of it."""
    outcome = accept(webhook, Arrived({"content-type": "application/json"}, body, now(), "::1"))
    return outcome.delivery_id
