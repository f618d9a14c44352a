"""Events that clients pushed, with the runs they started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api import event_origins
from engine.api.payloads import read_metadata, read_payloads
from engine.api.room import Room, json_object, packed
from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.domain.clock_skew import upper_bound
from engine.ids import id_at
from engine.models import Event, Run
from engine.models.json_objects import text_of
from engine.models.metadata_filters import all_metadata_reads
from engine.models.wide_columns import Wide
from engine.states import PayloadKind, Status
from engine.store import events as stored_events
from engine.store import runs as stored_runs
from engine.store import sync_db
from engine.store.runs import StartedRun
from engine.types import EventRecord
from tenants.rest import in_query
from tenants.rest.accepted import part, takes_query
from tenants.rest.errors import AnyDict, ApiError
from tenants.rest.paging import Page, count_up_to, whole
from tenants.rest.render import metadata, timestamp

_SUMMARY = {
    Status.QUEUED: "queued",
    Status.RUNNING: "running",
    Status.COMPLETED: "succeeded",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}
MOST_KEYS = 10_000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class EventSelection:
    page: Page = part(Page)
    since: datetime | None = in_query.moment("since")
    until: datetime | None = in_query.moment("until")
    keys: list[str] = in_query.texts("keys")
    scopes: list[str] = in_query.texts("scopes")
    event_ids: list[UUID] = in_query.uuids("eventIds")
    metadata: list[tuple[str, str]] = in_query.pairs("additionalMetadata")
    workflow_ids: list[UUID] = in_query.uuids("workflowIds")
    run_statuses: list[Status] = in_query.members("workflowRunStatuses", Status)

    def condition(self, tenant_id: UUID, now: datetime) -> Q:
        wanted = Q(tenant_id=tenant_id, id__gte=id_at(self.since or now - _DAY))
        until = upper_bound(self.until, now)
        if until is not None:
            wanted &= Q(id__lt=id_at(until + timedelta(milliseconds=1)))
        for column, values in (
            ("key__in", self.keys),
            ("scope__in", self.scopes),
            ("id__in", self.event_ids),
        ):
            if values:
                wanted &= Q(**{column: values})
        wanted &= all_metadata_reads(self.metadata)
        of_runs = self._of_runs()
        if of_runs:
            wanted &= Q(Exists(Run.objects.filter(of_runs, event_id=OuterRef("id"))))
        return wanted

    def _of_runs(self) -> Q:
        of_runs = Q()
        if self.workflow_ids:
            of_runs &= Q(workflow_id__in=self.workflow_ids)
        if self.run_statuses:
            of_runs &= Q(status__in=self.run_statuses)
        return of_runs


class EventListView(EngineView):
    @takes_query(EventSelection)
    def get(self, request: Request, wanted: EventSelection, **_: Any) -> Response:
        page, condition = wanted.page, wanted.condition(self.tenant.id, datetime.now(UTC))
        events = _lean_events().filter(condition).order_by("-id")
        may_view, room = self.access.can_view_payloads, Room()
        rows: list[object] = []
        for chunk in page.chunks(events):
            rows += packed(event_rows(chunk, may_view=may_view, room=room))
        return Response(page.answer(rows, count_up_to(events)))


class EventKeysView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        since = id_at(datetime.now(UTC) - _DAY)
        recent = Event.objects.filter(tenant_id=self.tenant.id, id__gte=since)
        keys = recent.order_by("key").values_list("key", flat=True).distinct()
        body = whole([])
        return Response(body | {"rows": list(keys[:MOST_KEYS])})


class EventInTenantView(EngineView):
    """An event named beside its tenant; one of another tenant is as good as unknown."""

    path_ids = ("tenant", "event")
    event: Event

    def check_resource(self) -> None:
        found = _lean_events().filter(id=self.ids["event"], tenant_id=self.tenant.id)
        event = found.first()
        if event is None:
            raise ApiError(404, "there is no such event")
        self.event = event

    def get(self, request: Request, **_: Any) -> Response:
        may_view = self.access.can_view_payloads
        return Response(event_rows([self.event], may_view=may_view, room=Room())[0])


class EventView(EngineView):
    """An event named alone, in the older and smaller shape."""

    path_ids = ("event",)
    event: Event

    def find_tenant(self) -> UUID:
        event = Event.objects.filter(id=self.ids["event"]).first()
        if event is None:
            raise ApiError(404, "there is no such event")
        self.event = event
        return event.tenant_id

    def get(self, request: Request, **_: Any) -> Response:
        event = self.event
        return Response(
            {
                "metadata": metadata(event.id, event.seen_at),
                "key": event.key,
                "tenantId": str(event.tenant_id),
                "additionalMetadata": json_object(
                    (text_of(event.additional_metadata) or "").encode()
                ),
            }
        )


class EventDataView(EventView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(_data_of(self.event, may_view=self.access.can_view_payloads))


class EventDataInTenantView(EventInTenantView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(_data_of(self.event, may_view=self.access.can_view_payloads))


def _data_of(event: Event, *, may_view: bool) -> AnyDict:
    kinds = [PayloadKind.EVENT] if may_view else []
    room = Room()
    found = read_payloads([event.id], kinds, room=room.left)
    return {"data": room.text(found.get((event.id, PayloadKind.EVENT, 0))) or "{}"}


def _lean_events() -> QuerySet[Event]:
    return Event.objects.defer("additional_metadata")


def event_rows(events: Sequence[Event], *, may_view: bool, room: Room) -> list[AnyDict]:
    """Return V1Event rows; what they carry and triggered runs are fetched with one query each."""
    ids = [event.id for event in events]
    metadata_of = read_metadata(stored_events.metadata, ids, room=room.left)
    data = read_payloads(ids, [PayloadKind.EVENT] if may_view else [], room=room.left)
    started = _runs_started(events)
    webhook_of = event_origins.webhooks_of(ids)
    return [
        _event_shape(
            event,
            started[event.id],
            data.get((event.id, PayloadKind.EVENT, 0)),
            metadata_of.get(event.id),
            room,
            may_view=may_view,
        )
        | ({"triggeringWebhookName": webhook_of[event.id]} if event.id in webhook_of else {})
        for event in events
    ]


def pushed_event(tenant_id: UUID, record: EventRecord, webhook_name: str) -> AnyDict:
    """Return the V1Event of one that came in by a webhook just now; only its runs are asked for."""
    event = Event(
        id=record.event_id,
        tenant_id=tenant_id,
        key=record.key,
        scope=record.scope,
        seen_at=record.seen_at,
    )
    payload = Wide(len(record.payload), record.payload)
    runs = _runs_started([event])[event.id]
    shape = _event_shape(event, runs, payload, None, Room(), may_view=True)
    return shape | {"triggeringWebhookName": webhook_name}


def _runs_started(events: Sequence[Event]) -> dict[UUID, list[StartedRun]]:
    started: dict[UUID, list[StartedRun]] = {event.id: [] for event in events}
    if events:
        query = stored_runs.started_by_events(started, id_at(_earliest(events)))
        for run in sync_db.read(query):
            started[run.event_id].append(run)
    return started


def _earliest(events: Sequence[Event]) -> datetime:
    """No run is older than its event, give or take the difference of two clocks."""
    return min(event.seen_at for event in events) - timedelta(minutes=1)


def _triggered(run: StartedRun) -> AnyDict:
    shape = {"workflowRunId": str(run.id)}
    return shape if run.filter_id is None else shape | {"filterId": str(run.filter_id)}


def _event_shape(
    event: Event,
    runs: Sequence[StartedRun],
    payload: Wide | None,
    carried: Wide | None,
    room: Room,
    *,
    may_view: bool,
) -> AnyDict:
    counts = Counter(Status(run.status) for run in runs)
    return without_nones(
        {
            "metadata": metadata(event.id, event.seen_at),
            "key": event.key,
            "tenantId": str(event.tenant_id),
            "workflowRunSummary": {word: counts[status] for status, word in _SUMMARY.items()},
            "additionalMetadata": room.json(carried),
            "payload": room.json(payload) if may_view else None,
            "payloadsRestricted": None if may_view else True,
            "scope": event.scope,
            "seenAt": timestamp(event.seen_at),
            "triggeredRuns": [_triggered(run) for run in runs],
        }
    )
