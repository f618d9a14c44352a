"""Reads whole traces: the spans that clients sent, and the engine's own of the runs in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, cast
from uuid import UUID

import orjson
from django.db.models import Q, QuerySet
from django.db.models.fields.json import KeyTextTransform

from engine.domain.engine_spans import Note, TracedEvent, TracedRun, span_of_event, spans_of_run
from engine.domain.spans import PAYLOAD, Span, SpanEvent
from engine.domain.trace_context import parse_traceparent
from engine.ids import id_at, time_of
from engine.models.names import Names, load_names
from engine.models.run_queries import lean_runs
from engine.models.runs import Event, Run, Task, TaskEvent
from engine.models.traces import Span as StoredSpan
from engine.models.tree_queries import tasks_by_run
from engine.models.wide_columns import Wide, wide_values
from engine.states import SpanKind, SpanStatus, Status, TaskEventKind

MOST_STORED = 20_000
MOST_RUNS = 200
MOST_NOTES = 20_000
"""Of one trace, so much is looked at."""
DEEPEST = 10
BEFORE_RUN = timedelta(days=7)
"""So long before a run its trace may have begun."""
_TEXTS = ("resource_attributes", "attributes", "events")
_NO_NAMES = Names({}, {})
OMITTED_BYTES = "hatchet__omitted_bytes"

Entry = Span | UUID
"""A span of the engine's, or the id of one that is stored."""


class Place(NamedTuple):
    """Where in a trace a span stands."""

    started_at: datetime
    retry_count: int
    run_id: UUID | None
    span_id: int
    parent_span_id: int | None
    entry: Entry


class Trace(NamedTuple):
    """The trace of a run: its spans in the order of their beginnings, and the runs in it."""

    run: Run
    places: Sequence[Place]
    runs: Sequence[Run]

    def of_run(self) -> list[Place]:
        """Leave out what is of other runs than this one and those that came of it.

        Of what names no run stays what they hang below: triggers and events.
        """
        family = {self.run.id}
        for run in sorted(self.runs, key=lambda each: each.id):
            if run.parent_run_id in family:
                family.add(run.id)
        parent_of = {each.span_id: each.parent_span_id for each in self.places if not each.run_id}
        above: set[int] = set()
        for place in self.places:
            parent = place.parent_span_id if place.run_id in family else None
            while parent in parent_of and parent not in above:
                above.add(parent)
                parent = parent_of[parent]
        return [
            place
            for place in self.places
            if place.run_id in family or (place.run_id is None and place.span_id in above)
        ]


def traced_run(tenant_id: UUID, identity: UUID) -> Run | None:
    """Find a run by its id or by that of one of its tasks, with what `facts_of` needs."""
    runs = _with_traceparent(lean_runs()).filter(tenant_id=tenant_id)
    run = runs.filter(id=identity).first()
    if run is None:
        of_task = Task.objects.filter(tenant_id=tenant_id, id=identity)
        run = runs.filter(id__in=list(of_task.values_list("run_id", flat=True))).first()
    return run


def trace_of(run: Run, now: datetime) -> Trace:
    """Find the whole trace of a run that `traced_run` gave, and spans of other traces that name it."""
    trace_id = facts_of(run, _NO_NAMES).trace_id
    floor = id_at(time_of(run.id) - BEFORE_RUN)
    related = Q(trace_id=trace_id) | Q(run_id=run.id)
    stored = StoredSpan.objects.filter(related, tenant_id=run.tenant_id, id__gte=floor)
    columns = ("started_at", "retry_count", "run_id", "span_id", "parent_span_id", "id")
    places = [
        Place(*row)
        for row in stored.order_by("started_at", "id").values_list(*columns)[:MOST_STORED]
    ]
    runs = _runs_of_trace(run, trace_id, {place.run_id for place in places if place.run_id})
    own = [
        Place(
            span.started_at, span.retry_count, span.run_id, span.span_id, span.parent_span_id, span
        )
        for span in _engine_spans(runs, now)
    ]
    return Trace(run, sorted(own + places, key=lambda place: place.started_at), runs)


def spans_at(
    tenant_id: UUID, places: Sequence[Place], *, room: int, may_view_payloads: bool
) -> list[Span]:
    """Read what stands at some places; attributes and events up to `room` bytes in all."""
    ids = [place.entry for place in places if isinstance(place.entry, UUID)]
    stored = StoredSpan.objects.filter(tenant_id=tenant_id, id__in=ids)
    rows = {row.id: row for row in stored.defer(*_TEXTS)} if ids else {}
    texts = wide_values(stored, _TEXTS, room=room) if ids else {}
    spans = []
    for place in places:
        if isinstance(place.entry, Span):
            spans.append(place.entry)
        elif place.entry in rows:
            spans.append(_shown(rows[place.entry], texts.get(place.entry, {}), may_view_payloads))
    return spans


def facts_of(run: Run, names: Names) -> TracedRun:
    traceparent = getattr(run, "traceparent", None)
    return TracedRun(
        id=run.id,
        tenant_id=run.tenant_id,
        name=names.run_display_name(run.id, run.workflow_id),
        status=Status(run.status),
        created_at=run.created_at,
        finished_at=run.finished_at,
        event_id=run.event_id,
        event_key=run.event_key,
        brought=parse_traceparent(traceparent) if traceparent else None,
    )


def _with_traceparent(rows: QuerySet[Run]) -> QuerySet[Run]:
    found = rows.annotate(traceparent=KeyTextTransform("traceparent", "additional_metadata"))
    return cast("QuerySet[Run]", found)


def _runs_of_trace(run: Run, trace_id: UUID, named: Collection[UUID]) -> list[Run]:
    """The run, those that spans name or its event started, their ancestors, and what all of them spawned."""
    runs = _with_traceparent(lean_runs()).filter(tenant_id=run.tenant_id)
    found = {run.id: run}

    def add(those: QuerySet[Run]) -> list[Run]:
        new = [each for each in those.order_by("id")[:MOST_RUNS] if each.id not in found]
        new = [each for each in new if facts_of(each, _NO_NAMES).trace_id == trace_id]
        new = new[: MOST_RUNS - len(found)]
        found.update((each.id, each) for each in new)
        return new

    related = Q(id__in=sorted(named)[:MOST_RUNS])
    if run.event_id is not None:
        related |= Q(event_id=run.event_id)
    add(runs.filter(related))
    for _ in range(DEEPEST):
        parents = {
            each.parent_run_id for each in found.values() if each.parent_run_id
        } - found.keys()
        if not parents or not add(runs.filter(id__in=parents)):
            break
    level = list(found.values())
    for _ in range(DEEPEST):
        tasks = [task_id for of_run in tasks_by_run(level).values() for task_id in of_run]
        level = add(runs.filter(parent_task_id__in=tasks)) if tasks else []
        if not level:
            break
    return list(found.values())


def _engine_spans(runs: Sequence[Run], now: datetime) -> list[Span]:
    run_ids = [run.id for run in runs]
    step_of = _steps_of(runs)
    names = load_names({run.workflow_id for run in runs}, set(step_of.values()))
    notes: dict[UUID, list[Note]] = {run_id: [] for run_id in run_ids}
    log = TaskEvent.objects.filter(run_id__in=run_ids, id__gte=id_at(time_of(min(run_ids))))
    wanted = ("run_id", "task_id", "retry_count", "kind", "at", "worker_id")
    for run_id, task_id, retry_count, kind, at, worker_id in log.order_by("at", "id").values_list(
        *wanted
    )[:MOST_NOTES]:
        note = Note(task_id, retry_count, TaskEventKind(kind), at, worker_id)
        notes[run_id].append(note)

    def name_of(task_id: UUID) -> str:
        return names.steps.get(step_of.get(task_id, task_id), "unknown")

    spans = [span_of_event(event) for event in _events_of(runs)]
    for run in runs:
        spans += spans_of_run(facts_of(run, names), notes[run.id], name_of, now)
    return spans


def _steps_of(runs: Sequence[Run]) -> dict[UUID, UUID]:
    """The steps of the tasks of these runs."""
    task_ids = [task_id for of_run in tasks_by_run(runs).values() for task_id in of_run]
    return dict(Task.objects.filter(id__in=task_ids).values_list("id", "step_id"))


def _events_of(runs: Sequence[Run]) -> list[TracedEvent]:
    event_ids = {run.event_id for run in runs if run.event_id is not None}
    if not event_ids:
        return []
    rows = Event.objects.filter(tenant_id=runs[0].tenant_id, id__in=event_ids).annotate(
        traceparent=KeyTextTransform("traceparent", "additional_metadata")
    )
    return [
        TracedEvent(event_id, key, seen_at, parse_traceparent(text) if text else None)
        for event_id, key, seen_at, text in rows.values_list("id", "key", "seen_at", "traceparent")
    ]


def _shown(row: StoredSpan, texts: Mapping[str, Wide], may_view_payloads: bool) -> Span:
    attributes = _object(texts.get("attributes"))
    if not may_view_payloads:
        attributes.pop(PAYLOAD, None)
    return Span(
        run_id=row.run_id,
        trace_id=row.trace_id,
        span_id=row.span_id,
        parent_span_id=row.parent_span_id,
        name=row.name,
        kind=SpanKind(row.kind),
        status=SpanStatus(row.status),
        started_at=row.started_at,
        duration_ns=row.duration_ns,
        retry_count=row.retry_count,
        service_name=row.service_name,
        status_message=row.status_message,
        scope_name=row.scope_name,
        scope_version=row.scope_version,
        resource_attributes=_object(texts.get("resource_attributes")),
        attributes=attributes,
        events=_events(texts.get("events")),
    )


def _object(text: Wide | None) -> dict[str, str]:
    """Texts by name; there may have been no room for them."""
    if text is None:
        return {}
    found: dict[str, str] = orjson.loads(text.data or b"{}")
    return found if text.data else {OMITTED_BYTES: str(text.length)}


def _events(text: Wide | None) -> list[SpanEvent]:
    found: list[SpanEvent] = orjson.loads((text and text.data) or b"[]")
    return found
