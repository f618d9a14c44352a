"""Rows as the engine would have written them, the minimum each test needs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from engine.domain.definition import Idempotency, StepDefinition, WorkflowDefinition
from engine.domain.definition_form import canonical_form, checksum
from engine.ids import id_at, new_id
from engine.models import (
    BulkAction,
    Cron,
    DurableEntry,
    DurableTask,
    EngineProcess,
    Event,
    Filter,
    Lease,
    LogLine,
    Payload,
    RateLimit,
    Run,
    Schedule,
    Step,
    Task,
    TaskEvent,
    Worker,
    Workflow,
    WorkflowVersion,
)
from engine.operations.change_bulk_actions import stage_bulk_action
from engine.operations.change_filters import create_filter
from engine.operations.push_events import push_events
from engine.operations.timetable.change_crons import create_cron
from engine.operations.timetable.change_schedules import schedule_runs
from engine.states import (
    BulkKind,
    DurableKind,
    LogLevel,
    PayloadKind,
    RateLimitWindow,
    RunTrigger,
    Status,
    TaskEventKind,
)
from engine.store import sync_db
from engine.store.filters import NewFilter
from engine.types import EventInput, RunFilter, TriggerRequest
from tenants.audit.models import ActorKind
from tenants.models import AuditEntry, Member, Role, Tenant, TenantInvite, User
from tenants.people.invites import LIFETIME
from tenants.people.links import digest_of, new_secret
from webhooks.accept import accept
from webhooks.arrived import Arrived
from webhooks.changes import NewWebhook, create_webhook
from webhooks.credentials import Credentials
from webhooks.models import AuthType, Delivery, Dispatch, Endpoint, Webhook
from webhooks.outgoing.changes import NewEndpoint, create_endpoint, try_endpoint

PASSWORD = "correct horse battery"


def make_tenant(name: str = "Acme") -> Tenant:
    return Tenant.objects.create(name=name, slug=f"{name.lower()}-{secrets.token_hex(4)}")


def make_user(email: str | None = None) -> User:
    address = email or f"{secrets.token_hex(6)}@example.org"
    return User.objects.create_user(address, PASSWORD)


def make_member(tenant: Tenant, role: Role, *, can_view_payloads: bool = True) -> User:
    user = make_user()
    Member.objects.create(tenant=tenant, user=user, role=role, can_view_payloads=can_view_payloads)
    return user


def make_invite(
    tenant: Tenant, email: str | None = None, role: Role = Role.MEMBER, **options: Any
) -> tuple[TenantInvite, str]:
    """An open invite, and the secret of its link, as if that had been handed over."""
    secret = new_secret()
    invite = TenantInvite.objects.create(
        tenant=tenant,
        email=email or f"{secrets.token_hex(6)}@example.org",
        role=role,
        link_digest=digest_of(secret),
        **{"expires_at": datetime.now(UTC) + LIFETIME, **options},
    )
    return invite, secret


def step(name: str, *parents: str, **options: Any) -> StepDefinition:
    return StepDefinition(name, f"flow:{name}", parents=parents, **options)


def make_version(
    tenant: Tenant,
    name: str = "greet",
    steps: Sequence[StepDefinition] = (),
    *,
    schema: dict[str, Any] | None = None,
    event_triggers: tuple[str, ...] = (),
    cron_triggers: tuple[str, ...] = (),
    idempotency: Idempotency | None = None,
) -> WorkflowVersion:
    definition = WorkflowDefinition(
        name,
        tuple(steps) or (step("say"),),
        description=f"About {name}",
        event_triggers=event_triggers,
        cron_triggers=cron_triggers,
        input_json_schema=json.dumps(schema) if schema else None,
        idempotency=idempotency,
    )
    now = datetime.now(UTC)
    workflow, _ = Workflow.objects.get_or_create(
        tenant=tenant,
        name=name,
        deleted_at=None,
        defaults={"created_at": now, "updated_at": now, "description": definition.description},
    )
    version = WorkflowVersion.objects.create(
        workflow=workflow,
        order=workflow.versions.count() + 1,
        checksum=checksum(definition),
        definition=json.loads(canonical_form(definition)),
        created_at=now,
    )
    for ordinal, one in enumerate(definition.steps):
        Step.objects.create(
            version=version,
            ordinal=ordinal,
            kind=one.kind,
            readable_id=one.readable_id,
            action_id=one.action_id,
        )
    return version


def make_run(
    version: WorkflowVersion,
    status: Status = Status.COMPLETED,
    *,
    ago: timedelta = timedelta(seconds=30),
    took: timedelta = timedelta(milliseconds=420),
    metadata: dict[str, Any] | None = None,
    step_states: dict[str, Status] | None = None,
    worker: Worker | None = None,
    given: bytes = b"{}",
    **options: Any,
) -> Run:
    """A run with its tasks; `step_states` gives a DAG's steps, absent ones have no task yet."""
    created = datetime.now(UTC) - ago
    steps = list(version.steps.order_by("ordinal"))
    started = created + timedelta(milliseconds=12) if status is not Status.QUEUED else None
    finished = started + took if started and status.is_final else None
    run = Run.objects.create(
        id=_id_from(created),
        tenant_id=version.workflow.tenant_id,
        workflow_id=version.workflow_id,
        version_id=version.id,
        status=status,
        is_dag=len(steps) > 1,
        priority=1,
        additional_metadata=metadata,
        created_at=created,
        started_at=started,
        finished_at=finished,
        **{"trigger": RunTrigger.MANUAL, **options},
    )
    Payload.objects.create(owner_id=run.id, kind=PayloadKind.INPUT, data=given)
    for one in steps:
        if len(steps) == 1 or (step_states or {}).get(one.readable_id) is not None:
            make_task(run, one, (step_states or {}).get(one.readable_id, status), worker=worker)
    return run


def make_task(run: Run, of_step: Step, status: Status, *, worker: Worker | None = None) -> Task:
    is_queued = status is Status.QUEUED
    return Task.objects.create(
        id=run.id if not run.is_dag else new_id(),
        tenant_id=run.tenant_id,
        run_id=run.id,
        workflow_id=run.workflow_id,
        version_id=run.version_id,
        step_id=of_step.id,
        action_id=of_step.action_id,
        status=status,
        queue_priority=1,
        worker_id=worker.id if worker and not is_queued else None,
        created_at=run.created_at,
        queued_at=run.created_at,
        started_at=None if is_queued else run.created_at + timedelta(milliseconds=12),
        finished_at=run.created_at + timedelta(milliseconds=400) if status.is_final else None,
    )


def _id_from(moment: datetime) -> UUID:
    return UUID(int=id_at(moment).int | secrets.randbits(62))


def add_event(
    task: Task, kind: TaskEventKind, *, attempt: int = 0, message: str = "", after_ms: int = 0
) -> None:
    TaskEvent.objects.create(
        run_id=task.run_id,
        task_id=task.id,
        retry_count=attempt,
        kind=kind,
        at=task.created_at + timedelta(milliseconds=after_ms),
        worker_id=task.worker_id,
        message=message,
    )


def add_outcome(task: Task, kind: PayloadKind, data: bytes, attempt: int = 0) -> None:
    Payload.objects.create(owner_id=task.id, kind=kind, data=data, attempt=attempt)


def add_durable_step(task: Task, node_id: int = 1, **options: Any) -> DurableEntry:
    """Add an entry to the task's durable log, which is made with the first one."""
    counters = {
        "tenant_id": task.tenant_id,
        "invocation_count": 1,
        "branch_id": 1,
        "satisfied_order": 0,
    }
    DurableTask.objects.update_or_create(
        task_id=task.id,
        defaults={"node_id": node_id},
        create_defaults=counters | {"node_id": node_id},
    )
    entry = {
        "kind": DurableKind.MEMO,
        "identity": b"",
        "description": "memo",
        "is_awaited": False,
        "created_at": task.created_at,
    }
    return DurableEntry.objects.create(
        task_id=task.id, **({"branch_id": 1, "node_id": node_id} | entry | options)
    )


def add_log(task: Task, message: str, level: LogLevel = LogLevel.INFO) -> LogLine:
    return LogLine.objects.create(
        run_id=task.run_id,
        task_id=task.id,
        step_id=task.step_id,
        tenant_id=task.tenant_id,
        retry_count=0,
        level=level,
        message=message,
        created_at=datetime.now(UTC),
    )


def make_bulk_action(tenant: Tenant, kind: BulkKind = BulkKind.CANCEL) -> BulkAction:
    """One that is staged, of all runs of the last day."""
    now, action_id = datetime.now(UTC), new_id()
    chosen = RunFilter(since=now - timedelta(days=1), until=now)
    total = Run.objects.filter(tenant_id=tenant.id).count()
    sync_db.run(stage_bulk_action(tenant.id, action_id, kind, chosen, total=total, now=now))
    return BulkAction.objects.get(id=action_id)


def make_worker(tenant: Tenant, name: str = "worker-1", **options: Any) -> Worker:
    now = datetime.now(UTC)
    defaults: dict[str, Any] = {
        "actions": ["flow:say"],
        "slots": {"default": 100},
        "labels": {"region": "eu"},
        "is_active": True,
        "last_heartbeat_at": now,
        "language": "PYTHON",
        "sdk_version": "1.43.1",
        "created_at": now,
        "updated_at": now,
    }
    return Worker.objects.create(tenant=tenant, name=name, **(defaults | options))


def make_cron(
    version: WorkflowVersion, name: str = "nightly", expression: str = "0 3 * * *", **request: Any
) -> Cron:
    workflow = version.workflow
    operation = create_cron(
        workflow.tenant_id,
        name=name,
        expression=expression,
        request=TriggerRequest(workflow.name, **request),
        now=datetime.now(UTC),
    )
    return Cron.objects.get(id=sync_db.run(operation))


def make_schedule(version: WorkflowVersion, at: datetime | None = None, **request: Any) -> Schedule:
    workflow, now = version.workflow, datetime.now(UTC)
    wanted = TriggerRequest(workflow.name, **request)
    times = [at or now + timedelta(days=1)]
    made = sync_db.run(schedule_runs(workflow.tenant_id, wanted, times, now))
    return Schedule.objects.get(id=made.schedules[0][0])


def push_event(tenant: Tenant, key: str = "user:created", **event: Any) -> Event:
    operation = push_events(tenant.id, [EventInput(key, **event)], datetime.now(UTC))
    [record] = sync_db.run(operation)
    return Event.objects.get(id=record.event_id)


def make_filter(
    version: WorkflowVersion, expression: str = "true", scope: str = "eu", payload: bytes = b"{}"
) -> Filter:
    workflow = version.workflow
    new = NewFilter(scope, expression, payload)
    operation = create_filter(workflow.tenant_id, workflow.id, new, datetime.now(UTC))
    return Filter.objects.get(id=sync_db.run(operation))


def make_rate_limit(tenant: Tenant, key: str, **options: Any) -> RateLimit:
    at = datetime.now(UTC)
    settings = {
        "limit_value": 10,
        "window": RateLimitWindow.HOUR,
        "value": 4,
        "refilled_at": at,
        "is_dynamic": False,
        "created_at": at,
        "updated_at": at,
    }
    return RateLimit.objects.create(tenant_id=tenant.id, key=key, **(settings | options))


def make_lease(tenant: Tenant) -> Lease:
    """Let an engine schedule the tenant."""
    later = datetime.now(UTC) + timedelta(hours=1)
    engine = EngineProcess.objects.create(host="here", started_at=later, heartbeat_at=later)
    return Lease.objects.create(tenant=tenant, engine_id=engine.id, epoch=1, expires_at=later)


WEBHOOK_SECRET = "open-sesame-4711"


def make_webhook(tenant: Tenant, name: str = "orders", **overrides: Any) -> Webhook:
    """A webhook for whoever has the key in X-Key."""
    given: dict[str, Any] = {
        "name": name,
        "source_name": "GENERIC",
        "event_key_expression": "'order:' + input.type",
        "credentials": Credentials(
            auth_type=AuthType.API_KEY, secret=WEBHOOK_SECRET, header_name="X-Key"
        ),
    }
    return create_webhook(tenant.id, NewWebhook(**(given | overrides)), datetime.now(UTC))


def make_endpoint(tenant: Tenant, url: str = "https://example.com/hook", **given: Any) -> Endpoint:
    new = NewEndpoint(url=url, **({"kinds": ["run.failed"]} | given))
    return create_endpoint(tenant.id, new, datetime.now(UTC))[0]


def send_test(endpoint: Endpoint) -> Dispatch:
    return Dispatch.objects.get(id=try_endpoint(endpoint, datetime.now(UTC)))


def deliver(webhook: Webhook, body: bytes, key: str = WEBHOOK_SECRET) -> Delivery:
    headers = {"content-type": "application/json", "x-key": key, "user-agent": "Sender/1.0"}
    outcome = accept(webhook, Arrived(headers, body, datetime.now(UTC), "192.0.2.7"))
    return Delivery.objects.get(id=outcome.delivery_id)


def make_audit_entry(tenant: Tenant, action: str = "cron.update", **columns: Any) -> AuditEntry:
    """An entry of a person's doing."""
    defaults: dict[str, Any] = {
        "actor_kind": ActorKind.PERSON.value,
        "actor_id": "1",
        "actor_name": "ann@example.org",
        "resource_kind": action.partition(".")[0],
    }
    return AuditEntry.objects.create(tenant_id=tenant.id, action=action, **defaults | columns)
