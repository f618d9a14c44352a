"""Requests of OTLP as exporters make them, without an exporter."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

SECOND_NS = 1_000_000_000


def now_ns() -> int:
    return int(datetime.now(UTC).timestamp()) * SECOND_NS


def value_of(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            made = AnyValue()
            made.array_value.values.extend(map(value_of, value))
            return made
        case dict():
            made = AnyValue()
            made.kvlist_value.values.extend(pairs(value))
            return made
        case _:
            return AnyValue(string_value=value)


def pairs(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value_of(value)) for key, value in values.items()]


def span(run_id: UUID | None = None, /, name: str = "work", **given: Any) -> trace_pb2.Span:
    """A span of a second; `attributes` beside those that name its run, everything else as in the message."""
    attributes: dict[str, Any] = {} if run_id is None else {"hatchet.workflow_run_id": str(run_id)}
    attributes |= given.pop("attributes", {})
    begun = given.pop("start_time_unix_nano", now_ns() - SECOND_NS)
    values = {
        "trace_id": os.urandom(16),
        "span_id": os.urandom(8),
        "kind": trace_pb2.Span.SPAN_KIND_INTERNAL,
        "start_time_unix_nano": begun,
        "end_time_unix_nano": begun + SECOND_NS,
    }
    return trace_pb2.Span(name=name, attributes=pairs(attributes), **(values | given))


def request(*spans: trace_pb2.Span, service: str = "billing") -> ExportTraceServiceRequest:
    resource = Resource(attributes=pairs({"service.name": service, "host.name": "a"}))
    scope = trace_pb2.ScopeSpans(spans=spans)
    scope.scope.name, scope.scope.version = "tests", "1.2"
    made = trace_pb2.ResourceSpans(resource=resource, scope_spans=[scope])
    return ExportTraceServiceRequest(resource_spans=[made])
