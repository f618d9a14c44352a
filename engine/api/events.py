"""Events that clients pushed, with the runs they started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.payloads import json_object, metadata_object
from engine.api.run_selection import upper_bound
from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.ids import id_at
from engine.models import Event, Run
from engine.models.metadata_filters import all_metadata_reads
from engine.models.payload_queries import payload_data
from engine.states import PayloadKind, Status
from tenants.api.errors import AnyDict, ApiError
from tenants.api.paging import Page, count_up_to, whole
from tenants.api.params import Query
from tenants.api.render import metadata, timestamp

_SUMMARY = {
    Status.QUEUED: "queued",
    Status.RUNNING: "running",
    Status.COMPLETED: "succeeded",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}
_DAY = timedelta(days=1)


class EventListView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        query = self.query
        page = Page.of(query)
        events = Event.objects.filter(_selection(query, self.tenant.id)).order_by("-id")
        rows = event_rows(page.slice(events), may_view=self.access.can_view_payloads)
        return Response(page.answer(rows, count_up_to(events)))


class EventKeysView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        since = id_at(datetime.now(UTC) - _DAY)
        recent = Event.objects.filter(tenant_id=self.tenant.id, id__gte=since)
        keys = recent.order_by("key").values_list("key", flat=True).distinct()
        body = whole([])
        return Response(body | {"rows": list(keys)})


class EventInTenantView(EngineView):
    """An event named beside its tenant; one of another tenant is as good as unknown."""

    path_ids = ("tenant", "event")
    event: Event

    def check_resource(self) -> None:
        event = Event.objects.filter(id=self.ids["event"], tenant_id=self.tenant.id).first()
        if event is None:
            raise ApiError(404, "there is no such event")
        self.event = event

    def get(self, request: Request, **_: Any) -> Response:
        return Response(event_rows([self.event], may_view=self.access.can_view_payloads)[0])


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
                "additionalMetadata": metadata_object(event.additional_metadata),
            }
        )


class EventDataView(EventView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(_data_of(self.event, may_view=self.access.can_view_payloads))


class EventDataInTenantView(EventInTenantView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(_data_of(self.event, may_view=self.access.can_view_payloads))


def _data_of(event: Event, *, may_view: bool) -> AnyDict:
    found = payload_data([event.id], [PayloadKind.EVENT]) if may_view else {}
    data = found.get((event.id, PayloadKind.EVENT, 0), b"{}")
    return {"data": data.decode()}


def _selection(query: Query, tenant_id: UUID) -> Q:
    since = query.moment("since") or datetime.now(UTC) - _DAY
    until = upper_bound(query.moment("until"))
    wanted = Q(tenant_id=tenant_id, id__gte=id_at(since))
    if until is not None:
        wanted &= Q(id__lt=id_at(until + timedelta(milliseconds=1)))
    for name, column in (("keys", "key__in"), ("scopes", "scope__in")):
        texts = query.texts(name)
        if texts:
            wanted &= Q(**{column: texts})
    event_ids = query.uuids("eventIds")
    if event_ids:
        wanted &= Q(id__in=event_ids)
    wanted &= all_metadata_reads(query.pairs("additionalMetadata"))
    of_runs = Q()
    workflow_ids = query.uuids("workflowIds")
    if workflow_ids:
        of_runs &= Q(workflow_id__in=workflow_ids)
    statuses = query.members("workflowRunStatuses", Status)
    if statuses:
        of_runs &= Q(status__in=statuses)
    if of_runs:
        wanted &= Q(Exists(Run.objects.filter(of_runs, event_id=OuterRef("id"))))
    return wanted


def event_rows(events: Sequence[Event], *, may_view: bool) -> list[AnyDict]:
    """Return V1Event rows; payloads and triggered runs are fetched with one query each."""
    ids = [event.id for event in events]
    data = payload_data(ids, [PayloadKind.EVENT]) if may_view else {}
    started: dict[UUID, list[Run]] = {identity: [] for identity in ids}
    if ids:
        runs = Run.objects.filter(event_id__in=ids, id__gte=id_at(_earliest(events)))
        for run in runs.only("id", "event_id", "status", "filter_id").order_by("id"):
            if run.event_id is not None:
                started[run.event_id].append(run)
    return [
        _event_shape(
            event,
            started[event.id],
            data.get((event.id, PayloadKind.EVENT, 0)),
            may_view=may_view,
        )
        for event in events
    ]


def _earliest(events: Sequence[Event]) -> datetime:
    """No run is older than its event, give or take the difference of two clocks."""
    return min(event.seen_at for event in events) - timedelta(minutes=1)


def _triggered(run: Run) -> AnyDict:
    shape = {"workflowRunId": str(run.id)}
    return shape if run.filter_id is None else shape | {"filterId": str(run.filter_id)}


def _event_shape(
    event: Event, runs: Sequence[Run], payload: bytes | None, *, may_view: bool
) -> AnyDict:
    counts = Counter(Status(run.status) for run in runs)
    return without_nones(
        {
            "metadata": metadata(event.id, event.seen_at),
            "key": event.key,
            "tenantId": str(event.tenant_id),
            "workflowRunSummary": {word: counts[status] for status, word in _SUMMARY.items()},
            "additionalMetadata": metadata_object(event.additional_metadata),
            "payload": json_object(payload) if may_view else None,
            "payloadsRestricted": None if may_view else True,
            "scope": event.scope,
            "seenAt": timestamp(event.seen_at),
            "triggeredRuns": [_triggered(run) for run in runs],
        }
    )
