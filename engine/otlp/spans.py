"""Reads what exporters of spans send: what is to be stored of it, and why the rest is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from uuid import UUID

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from engine.domain.spans import (
    CHILD_RUN_ID,
    INSTRUMENTOR,
    PAYLOAD,
    RETRY_COUNT,
    RUN_ID,
    TASK_ID,
    TENANT_ID,
    NewSpan,
    SpanEvent,
    event_at,
)
from engine.ids import id_with
from engine.otlp.intake import Intake
from engine.otlp.texts import MOST_CHARACTERS, cut, texts_of
from engine.states import SpanKind, SpanStatus

MOST_SPANS = 10_000
"""Of one request."""
OLDEST, EARLY = timedelta(days=7), timedelta(hours=1)
"""So long ago, or so far ahead of our clock, a span may begin."""
LONGEST = timedelta(days=366)
LONGEST_NAME = 255
LONGEST_MESSAGE = 4_096
MOST_EVENTS = 32
_MOST_DIGITS = 9
_MICROSECOND_NS = 1_000
_MILLISECOND_NS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNKNOWN_RUN = "of a run that is not known here"
_NO_ID = bytes(8)
_KINDS = {kind.value: kind for kind in SpanKind}
_STATUSES = {status.value: status for status in SpanStatus}


class _Refused(Exception):
    """The span is not stored; the message says of which kind it is."""


class SpanReader:
    """Reads one request of a tenant. `refused` counts spans by why they are not stored."""

    def __init__(self, tenant_id: UUID, intake: Intake, now: datetime) -> None:
        self._tenant_id, self._intake = tenant_id, intake
        self._earliest, self._latest = _nanoseconds(now - OLDEST), _nanoseconds(now + EARLY)
        self.refused: Counter[str] = Counter()
        self.sampled_out = 0

    def read(self, request: ExportTraceServiceRequest) -> Iterator[NewSpan | None]:
        """Yield one thing a span: None where nothing is to be stored."""
        number = 0
        for of_resource in request.resource_spans:
            resource, _ = texts_of(of_resource.resource.attributes)
            service = cut(resource.get("service.name", "unknown_service"), LONGEST_NAME)
            resource_json = orjson.dumps(resource).decode()
            for of_scope in of_resource.scope_spans:
                name = cut(of_scope.scope.name, LONGEST_NAME)
                version = cut(of_scope.scope.version, LONGEST_NAME)
                for span in of_scope.spans:
                    number += 1
                    yield self._read(number, span, (resource_json, service, name, version))

    def _read(
        self, number: int, span: trace_pb2.Span, origin: tuple[str, str, str, str]
    ) -> NewSpan | None:
        try:
            if number > MOST_SPANS:
                raise _Refused(f"beyond {MOST_SPANS} spans of one request")
            trace_id = self._trace_of(span)
            if not self._intake.samples(trace_id):
                self.sampled_out += 1
                return None
            return self._accepted(span, trace_id, origin)
        except _Refused as refused:
            self.refused[str(refused)] += 1
            return None

    def _trace_of(self, span: trace_pb2.Span) -> UUID:
        """Return the span's trace, if what says when and where it was is right."""
        is_child = span.parent_span_id not in (b"", _NO_ID)
        if (
            len(span.trace_id) != 16
            or not any(span.trace_id)
            or len(span.span_id) != 8
            or span.span_id == _NO_ID
            or (is_child and len(span.parent_span_id) != 8)
        ):
            raise _Refused("with an id that is none")
        begun, ended = span.start_time_unix_nano, span.end_time_unix_nano
        if not self._earliest <= begun <= self._latest:
            raise _Refused("that began too long ago or in the future")
        if not begun <= ended <= begun + LONGEST // timedelta(microseconds=1) * _MICROSECOND_NS:
            raise _Refused("that ended before it began or long after")
        return UUID(bytes=span.trace_id)

    def _accepted(
        self, span: trace_pb2.Span, trace_id: UUID, origin: tuple[str, str, str, str]
    ) -> NewSpan:
        attributes, dropped = texts_of(span.attributes)
        about = self._about(attributes)
        refusal = self._intake.refusal_of(self._tenant_id, about or trace_id)
        if refusal:
            raise _Refused(refusal)
        if not self._intake.keeps_payloads:
            attributes.pop(PAYLOAD, None)
        _note_losses(attributes, span, dropped)
        resource, service, scope_name, scope_version = origin
        begun = span.start_time_unix_nano
        return NewSpan(
            id=self._id_of(span, about),
            tenant_id=self._tenant_id,
            about=about,
            retry_count=_count(attributes.get(RETRY_COUNT, "")),
            trace_id=trace_id,
            span_id=int.from_bytes(span.span_id, signed=True),
            parent_span_id=int.from_bytes(span.parent_span_id, signed=True) or None,
            name=cut(span.name, LONGEST_NAME),
            kind=_KINDS.get(span.kind, SpanKind.UNSPECIFIED),
            status=_STATUSES.get(span.status.code, SpanStatus.UNSET),
            status_message=cut(span.status.message, LONGEST_MESSAGE),
            service_name=service,
            scope_name=scope_name,
            scope_version=scope_version,
            started_at=_moment(begun),
            duration_ns=span.end_time_unix_nano - begun,
            resource_attributes=resource,
            attributes=orjson.dumps(attributes).decode(),
            events=orjson.dumps(_events_of(span)).decode(),
        )

    def _about(self, attributes: Mapping[str, str]) -> UUID | None:
        """Return the run or task that the span names; None if a client of ours made it outside of any."""
        tenant = attributes.get(TENANT_ID)
        if tenant is not None and _uuid(tenant) != self._tenant_id:
            raise _Refused("of another tenant")
        for name in (RUN_ID, CHILD_RUN_ID, TASK_ID):
            if (text := attributes.get(name)) is not None:
                if (found := _uuid(text)) is None:
                    raise _Refused(UNKNOWN_RUN)
                return found
        if attributes.get(INSTRUMENTOR) != "hatchet":
            raise _Refused("of no run")
        return None

    def _id_of(self, span: trace_pb2.Span, about: UUID | None) -> UUID:
        """Return an id in the order of time, no sooner than what the span is about, the same for the same span.

        An exporter that got no answer sends its spans again.
        """
        digest = blake2b(
            self._tenant_id.bytes + span.trace_id + span.span_id, digest_size=10
        ).digest()
        begun = span.start_time_unix_nano // _MILLISECOND_NS
        return id_with(
            max(begun, about.int >> 80) if about and about.version == 7 else begun, digest
        )


def _note_losses(attributes: dict[str, str], span: trace_pb2.Span, dropped: int) -> None:
    """Say in attributes, under the names that OpenTelemetry has for it, what is not kept."""
    dropped += span.dropped_attributes_count
    events = span.dropped_events_count + max(0, len(span.events) - MOST_EVENTS)
    links = span.dropped_links_count + len(span.links)
    for name, number in (("attributes", dropped), ("events", events), ("links", links)):
        if number:
            attributes[f"otel.dropped_{name}_count"] = str(number)
    if span.trace_state:
        attributes["w3c.tracestate"] = cut(span.trace_state, LONGEST_MESSAGE)


def _events_of(span: trace_pb2.Span) -> Sequence[SpanEvent]:
    """Exceptions, mostly."""
    room, events = MOST_CHARACTERS, list[SpanEvent]()
    for event in span.events[:MOST_EVENTS]:
        attributes, _ = texts_of(event.attributes)
        room -= sum(len(key) + len(value) for key, value in attributes.items())
        at = _moment(min(event.time_unix_nano, span.end_time_unix_nano))
        name = cut(event.name, LONGEST_NAME)
        events.append(event_at(name, at, attributes if room >= 0 else {}))
    return events


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _count(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if is_number else 0


def _moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // _MICROSECOND_NS)


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * _MICROSECOND_NS
