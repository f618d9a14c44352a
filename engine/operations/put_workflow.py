"""Registers a workflow definition: the latest version again, or a new one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from engine.domain.concurrency import shared_strategies_of
from engine.domain.cron.expression import parse_cron
from engine.domain.definition import WorkflowDefinition
from engine.domain.definition_form import canonical_form, checksum
from engine.ids import new_id
from engine.operations.parts.count_usage import hold
from engine.store import crons, filters, shared_strategies, workflows
from engine.store.changes import Changes
from engine.store.filters import NewFilter
from engine.store.query import Operation, Query, fetch, fetch_all
from tenants.resources import Resource


class PutWorkflow(NamedTuple):
    version_id: UUID
    workflow_id: UUID
    is_new: bool


def put_workflow(
    tenant_id: UUID, definition: WorkflowDefinition, now: datetime
) -> Operation[PutWorkflow]:
    """Store the definition unless the latest version equals it. One name at a time per tenant.

    Concurrency strategies of the whole tenant are as they were registered last, by whatever version.
    LimitReached: with the definition's crons the tenant would have more than it may.
    """
    _, found = yield from fetch_all(
        workflows.lock_name(tenant_id, definition.name),
        workflows.latest(tenant_id, definition.name),
    )
    yield from _share_strategies(tenant_id, definition, now)
    digest = checksum(definition)
    latest = found[0] if found else None
    if latest and latest.version_id and bytes(latest.checksum or b"") == digest:
        return PutWorkflow(latest.version_id, latest.workflow_id, is_new=False)
    put = PutWorkflow(new_id(), latest.workflow_id if latest else new_id(), is_new=True)
    yield from fetch_all(
        _write(tenant_id, definition, put.workflow_id, now=now, is_new=latest is None),
        workflows.insert_version(
            put.version_id,
            put.workflow_id,
            order=(latest.order or 0) + 1 if latest else 1,
            checksum=digest,
            definition=canonical_form(definition).decode(),
            now=now,
        ),
        workflows.insert_steps(put.version_id, _new_steps(definition)),
        *_replace_declared(tenant_id, definition, put.workflow_id, now),
    )
    yield from hold(tenant_id, Resource.CRON, len(definition.cron_triggers), now)
    yield _changed_catalog(tenant_id)
    return put


def _share_strategies(
    tenant_id: UUID, definition: WorkflowDefinition, now: datetime
) -> Operation[None]:
    shared = {strategy.name: strategy for strategy in shared_strategies_of(definition)}
    if not shared:
        return
    put = shared_strategies.put(tenant_id, list(shared.values()), now)
    if (yield from fetch(put)):
        yield Changes(rules={tenant_id})


def _write(
    tenant_id: UUID,
    definition: WorkflowDefinition,
    workflow_id: UUID,
    *,
    now: datetime,
    is_new: bool,
) -> Query[UUID]:
    name, description = definition.name, definition.description
    if is_new:
        return workflows.insert(workflow_id, tenant_id, name=name, description=description, now=now)
    return workflows.touch(workflow_id, description, now)


def _replace_declared(
    tenant_id: UUID, definition: WorkflowDefinition, workflow_id: UUID, now: datetime
) -> list[Query[Any]]:
    """Let the triggers, filters and crons be those that the definition declares."""
    patterns = dict.fromkeys(definition.event_triggers)
    return [
        workflows.replace_triggers(
            tenant_id, workflow_id, [(key, like_pattern(key)) for key in patterns]
        ),
        filters.drop_declared(workflow_id),
        filters.insert(tenant_id, workflow_id, _filters_of(definition), is_declared=True, now=now),
        crons.replace_declared(
            tenant_id,
            workflow_id,
            [(text, _first_due(text, now)) for text in dict.fromkeys(definition.cron_triggers)],
            cron_input=(definition.cron_input or "{}").encode(),
            now=now,
        ),
    ]


def _changed_catalog(tenant_id: UUID) -> Changes:
    """Return what engines and dashboards are told: names mean other versions, with other crons."""
    return Changes(catalogs={tenant_id}, timetables={tenant_id}, pages={(tenant_id, "workflows")})


def _filters_of(definition: WorkflowDefinition) -> list[NewFilter]:
    return [
        NewFilter(found.scope, found.expression, found.payload.encode())
        for found in definition.default_filters
    ]


def _first_due(expression: str, now: datetime) -> datetime | None:
    return parse_cron(expression, "cron_triggers", now).next_after(now)


def _new_steps(definition: WorkflowDefinition) -> list[workflows.NewStep]:
    return [
        workflows.NewStep(new_id(), ordinal, int(step.kind), step.readable_id, step.action_id)
        for ordinal, step in enumerate(definition.steps)
    ]


def like_pattern(pattern: str) -> str | None:
    """Return the LIKE pattern of an event pattern with `*`, every other character taken literally."""
    if "*" not in pattern:
        return None
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


def delete_workflow(tenant_id: UUID, workflow_id: UUID, now: datetime) -> Operation[bool]:
    """Delete softly and say so; False if there is no such live workflow."""
    deleted = yield from fetch(workflows.delete(tenant_id, workflow_id, now))
    if deleted:
        yield _changed_catalog(tenant_id)
        yield Changes(rules={tenant_id})
    return bool(deleted)
