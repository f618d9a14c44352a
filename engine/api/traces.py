"""Traces of runs: what clients sent of them, and what the engine itself knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.room import Room, packed
from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.domain.spans import Span
from engine.domain.trace_context import span_hex
from engine.models.trace_queries import spans_at, trace_of, traced_run
from tenants.rest import in_query
from tenants.rest.accepted import part, takes_query
from tenants.rest.errors import AnyDict, ApiError
from tenants.rest.paging import Page
from tenants.rest.render import timestamp

MOST_SPANS = 10_000


@dataclass(frozen=True, slots=True)
class SpanPage(Page):
    limit: int = in_query.whole("limit", 1000, minimum=1, maximum=MOST_SPANS)


@dataclass(frozen=True, slots=True)
class TracedRun:
    run_id: UUID = in_query.required_uuid("run_external_id")
    page: SpanPage = part(SpanPage)


class TracesView(EngineView):
    """The whole trace that a run, or the run of a task, belongs to: also of its parents and children."""

    @takes_query(TracedRun)
    def get(self, request: Request, wanted: TracedRun, **_: Any) -> Response:
        run = traced_run(self.tenant.id, wanted.run_id)
        if run is None:
            raise ApiError(404, "there is no such run")
        if settings.HATCHET.tracing is None:
            return Response({})
        places = trace_of(run, datetime.now(UTC)).places
        page = wanted.page
        spans = spans_at(
            self.tenant.id,
            places[page.offset : page.offset + page.limit],
            room=Room().left,
            may_view_payloads=self.access.can_view_payloads,
        )
        retry_counts = sorted({place.retry_count for place in places})
        answer = page.answer(packed(map(_shape, spans)), len(places))
        return Response(answer | {"retryCounts": retry_counts})


def _shape(span: Span) -> AnyDict:
    parent = span.parent_span_id
    return without_nones(
        {
            "traceId": span.trace_id.hex,
            "spanId": span_hex(span.span_id),
            "parentSpanId": None if parent is None else span_hex(parent),
            "spanName": span.name,
            "spanKind": span.kind.name,
            "serviceName": span.service_name,
            "statusCode": span.status.name,
            "statusMessage": span.status_message or None,
            "durationNs": span.duration_ns,
            "createdAt": timestamp(span.started_at),
            "resourceAttributes": dict(span.resource_attributes),
            "spanAttributes": dict(span.attributes),
            "scopeName": span.scope_name or None,
            "scopeVersion": span.scope_version or None,
            "retryCount": span.retry_count,
            "events": list(span.events) or None,
        }
    )
