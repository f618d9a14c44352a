"""What events did: the runs they started, the waits they ended, and why they did nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count

from engine.ids import id_at
from engine.models.definitions import Workflow
from engine.models.filters import CelFailure
from engine.models.run_queries import runs_of, with_attempt_times, with_workflow_names
from engine.models.runs import Event, Run
from engine.models.waits import EndedWait
from engine.states import Status
from engine.store import events as event_store
from engine.store import sync_db
from engine.store.query import fetch

RUNS_SHOWN = WAITS_SHOWN = 200
FAILURES_SHOWN = 20
CLOCKS_DIFFER = timedelta(minutes=1)


class Row(NamedTuple):
    """An event with how many of its runs are in which state, and how many waits it ended."""

    event: Event
    counts: list[tuple[Status, int]]
    waits: int


def with_counts(events: Sequence[Event]) -> list[Row]:
    """Count in two queries, whatever the number of events."""
    if not events:
        return []
    counts: dict[UUID, Counter[Status]] = defaultdict(Counter)
    ids = [event.id for event in events]
    oldest = min(event.seen_at for event in events) - CLOCKS_DIFFER
    runs = Run.objects.filter(event_id__in=ids, id__gte=id_at(oldest))
    for event_id, status in runs.values_list("event_id", "status"):
        if event_id is not None:
            counts[event_id][Status(status)] += 1
    ended = EndedWait.objects.filter(tenant_id=events[0].tenant_id, event_id__in=ids).order_by()
    waits = dict(ended.values_list("event_id").annotate(number=Count("id")))
    return [
        Row(
            event,
            [(status, counts[event.id][status]) for status in Status if counts[event.id][status]],
            waits.get(event.id, 0),
        )
        for event in events
    ]


def effects_of(event: Event) -> dict[str, Any]:
    """What the page of one event says that it did."""
    since = event.seen_at - CLOCKS_DIFFER
    runs = runs_of(event.tenant_id).filter(event_id=event.id, id__gte=id_at(since))
    found = list(with_attempt_times(with_workflow_names(runs)).order_by("id")[: RUNS_SHOWN + 1])
    waits, has_more_waits = _ended_waits(event)
    failures = _failures(event, since)
    has_effect = found or waits or failures
    return {
        "event": event,
        "runs": found[:RUNS_SHOWN],
        "has_more": len(found) > RUNS_SHOWN,
        "waits": waits,
        "has_more_waits": has_more_waits,
        "failures": failures,
        "why_none": "" if has_effect else _why_none(event),
    }


def _ended_waits(event: Event) -> tuple[list[tuple[EndedWait, Run]], bool]:
    """The waits that the event ended, with the runs that waited, as far as those are still there."""
    ended = EndedWait.objects.filter(tenant_id=event.tenant_id, event_id=event.id)
    found = list(ended.order_by("id")[: WAITS_SHOWN + 1])
    shown = found[:WAITS_SHOWN]
    runs = with_workflow_names(runs_of(event.tenant_id)).in_bulk({wait.run_id for wait in shown})
    pairs = [(wait, runs[wait.run_id]) for wait in shown if wait.run_id in runs]
    return pairs, len(found) > WAITS_SHOWN


def _failures(event: Event, since: datetime) -> list[dict[str, Any]]:
    """The expressions that failed on this event; they were written with it."""
    rows = CelFailure.objects.filter(
        tenant_id=event.tenant_id,
        event_id=event.id,
        id__gte=id_at(since),
        id__lt=id_at(event.seen_at + CLOCKS_DIFFER),
    )
    failures = list(rows.order_by("id")[:FAILURES_SHOWN])
    names = Workflow.objects.in_bulk({failure.workflow_id for failure in failures})
    return [{"failure": one, "workflow": names.get(one.workflow_id)} for one in failures]


def _why_none(event: Event) -> str:
    """Why, as things are now, such an event starts nothing."""
    matches = sync_db.run(fetch(event_store.triggers(event.tenant_id, [event.key])))
    filtered = sorted({match.workflow_name for match in matches if match.has_filters})
    if not matches:
        return "No workflow is started by events of this key."
    if len(filtered) < len({match.workflow_name for match in matches}):
        return "A workflow listens for this key now, but did not when the event came."
    names = ", ".join(filtered)
    if not event.scope:
        return f"The filters of {names} need a scope, and this event has none."
    return f"No filter of {names} with this scope was true."
