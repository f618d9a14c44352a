"""Stores pushed events and starts the runs they trigger, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from engine.domain.cel.answers import asking_for, repeated_id
from engine.errors import NotFound
from engine.operations.durable import satisfy_entries
from engine.operations.parts.count_usage import taking
from engine.operations.parts.event_targets import (
    KeyAndScope,
    KnownTargets,
    Targets,
    hold,
    joined,
)
from engine.operations.parts.pass_filters import pass_filters
from engine.operations.parts.plan_runs import PlannedRun, Trigger, plan_new_run
from engine.operations.parts.versions import load_versions
from engine.operations.satisfy_waits import offer_events
from engine.operations.trigger_runs import insert_runs
from engine.states import RunTrigger
from engine.store import durable_waits, events, filters, step_waits
from engine.store.events import TriggerMatch
from engine.store.filters import Failure, FilterRow
from engine.store.query import Operation, Query, fetch, fetch_all, fetch_last, repeatable
from engine.types import EventInput, EventRecord, TriggerRequest
from tenants.json_text import members, object_of, with_texts
from tenants.resources import Resource

_KEPT_MARKS = frozenset({"hatchet__source_workflow_run_id", "hatchet__source_step_run_id"})


class PushedEvents(NamedTuple):
    """What one caller pushes, and how it will be stored."""

    tenant_id: UUID
    inputs: Sequence[EventInput]
    records: Sequence[EventRecord]


@repeatable
def push_calls(
    calls: Sequence[PushedEvents],
    now: datetime,
    known: KnownTargets | None = None,
    *,
    is_last: bool = True,
) -> Operation[None]:
    """Push the events of several callers, under the ids they have been given.

    With `is_last` no query may follow in an engine: the last ones commit.

    TargetsChanged: what is `known` was relied on and is outdated; nothing was written.
    """
    of_tenant: dict[UUID, list[PushedEvents]] = defaultdict(list)
    for call in calls:
        of_tenant[call.tenant_id].append(call)
    tenant_ids = sorted(of_tenant)
    for tenant_id in tenant_ids:
        pushed = of_tenant[tenant_id]
        asking_for(tenant_id)
        yield from _push(
            tenant_id,
            [record for call in pushed for record in call.records],
            [event.priority for call in pushed for event in call.inputs],
            now,
            is_last=is_last and tenant_id == tenant_ids[-1],
            known=known,
        )


@repeatable
def push_events(
    tenant_id: UUID, inputs: Sequence[EventInput], now: datetime
) -> Operation[list[EventRecord]]:
    """Store events in order; start runs per matching pattern of each live workflow, end waits.

    The run's input is the event's payload. Its metadata is the event's with the event's id and key.
    In an engine no query may follow: the last ones commit.
    """
    asking_for(tenant_id)
    records = records_of(inputs, [repeated_id() for _ in inputs], now)
    yield from _push(tenant_id, records, [event.priority for event in inputs], now, is_last=True)
    return records


def records_of(
    inputs: Sequence[EventInput], ids: Sequence[UUID], now: datetime
) -> list[EventRecord]:
    """Return the events as they are stored under these ids."""
    return [
        EventRecord(
            event_id=event_id,
            key=event.key,
            payload=event.payload,
            additional_metadata=_without_marks(event.additional_metadata),
            scope=event.scope,
            seen_at=now,
        )
        for event_id, event in zip(ids, inputs, strict=True)
    ]


def _push(
    tenant_id: UUID,
    records: Sequence[EventRecord],
    priorities: Sequence[int | None],
    now: datetime,
    *,
    is_last: bool,
    known: KnownTargets | None = None,
) -> Operation[None]:
    taken = taking(Resource.EVENT, {tenant_id: len(records)}, now)
    locked = [*taken, *_share_scopes(tenant_id, records)]
    insert = events.insert(tenant_id, records, priorities, now)
    if known and (targets := known.find(tenant_id, records)):
        first = (*locked, insert, hold(tenant_id, targets))
        yield from _start_known(
            tenant_id, targets, records, priorities, now, first=first, is_last=is_last
        )
        return
    keys = sorted({event.key for event in records})
    scopes = sorted({event.scope for event in records if event.scope is not None})
    *_, rows, matches, waits, durable = yield from fetch_all(
        *locked,
        insert,
        filters.for_events(tenant_id, keys, [scope for scope in scopes if scope]),
        events.triggers(tenant_id, keys),
        step_waits.for_events(tenant_id, keys),
        durable_waits.for_events(tenant_id, keys),
    )
    if known and not (waits or durable):
        known.learn(tenant_id, records, matches, rows)
    planned, failures = yield from _plan(records, priorities, matches, rows)
    if failures:
        yield from fetch(filters.insert_failures(tenant_id, failures, now))
    if planned:
        yield from insert_runs(planned, now, is_last=is_last and not (waits or durable))
    if waits:
        yield from offer_events(waits, records, now)
    if durable:
        yield from satisfy_entries.offer_events(durable, records, now, is_last=is_last)


def _share_scopes(tenant_id: UUID, records: Sequence[EventRecord]) -> list[Query[Any]]:
    """Keep waits that look back for events of these scopes from beginning meanwhile."""
    scopes = {event.scope for event in records if event.scope is not None}
    locks = sorted(durable_waits.scope_lock(tenant_id, scope) for scope in scopes)
    return [durable_waits.share_scopes(locks)] if locks else []


def _start_known(
    tenant_id: UUID,
    targets: dict[KeyAndScope, Targets],
    records: Sequence[EventRecord],
    priorities: Sequence[int | None],
    now: datetime,
    *,
    first: Sequence[Query[Any]],
    is_last: bool,
) -> Operation[None]:
    """Start what the events are known to start, after the queries that store them."""
    planned, failures = yield from _plan(records, priorities, *joined(targets))
    if failures:
        first = (*first, filters.insert_failures(tenant_id, failures, now))
    if planned:
        yield from insert_runs(planned, now, first=first, is_last=is_last)
    elif is_last:
        yield from fetch_last(*first)
    else:
        yield from fetch_all(*first)


@repeatable
def replay_event(tenant_id: UUID, event_id: UUID, now: datetime) -> Operation[EventRecord]:
    """Push a stored event once more, as a new one: what is live now answers to it. NotFound: unknown."""
    found = yield from fetch(events.by_id(tenant_id, event_id))
    if not found:
        raise NotFound("event not found")
    (record,) = yield from push_events(tenant_id, found, now)
    return record


def _without_marks(metadata: bytes | None) -> bytes | None:
    """Drop the server's own `hatchet__` keys a client may not set."""
    # Letters of a key may be written as escapes.
    if metadata is None or not (b"hatchet__" in metadata or b"\\u" in metadata):
        return metadata
    pairs = members(metadata)
    return object_of(
        {k: v for k, v in pairs.items() if not k.startswith("hatchet__") or k in _KEPT_MARKS}
    )


def _plan(
    records: Sequence[EventRecord],
    priorities: Sequence[int | None],
    matches: Sequence[TriggerMatch],
    rows: Sequence[FilterRow],
) -> Operation[tuple[list[PlannedRun], list[Failure]]]:
    if not matches:
        return [], []
    passed, failures = yield from pass_filters(records, matches, rows)
    if not passed:
        return [], failures
    versions = yield from load_versions(item.version_id for item in passed)
    priority_of = {r.event_id: p for r, p in zip(records, priorities, strict=True)}
    planned = []
    for item in passed:
        event = item.event
        version = versions[item.version_id]
        request = TriggerRequest(
            workflow_name=version.definition.name,
            input=event.payload,
            additional_metadata=_marked(event),
            priority=priority_of[event.event_id],
        )
        trigger = Trigger(
            RunTrigger.EVENT, event.event_id, event.key, item.filter_id, item.filter_payload
        )
        planned.append(plan_new_run(request, version, trigger))
    return planned, failures


def _marked(event: EventRecord) -> bytes:
    marks = {"hatchet__event_id": str(event.event_id), "hatchet__event_key": event.key}
    return with_texts(event.additional_metadata, marks)
