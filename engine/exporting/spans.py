"""Spans of telemetry as spans of OpenTelemetry: what happens in one of them is part of it."""

from __future__ import annotations

from typing import ClassVar

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from engine.telemetry import Closer, Measurements, Metadata

_GOOD = {"done", "committed", "cancelled"}
_ENTRANCES = {"grpc.answered", "http.answered"}
_propagator = TraceContextTextMapPropagator()


class SpanMaker:
    EVENTS: ClassVar = ("grpc.answered", "http.answered", "database.operation", "loop.tick")

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def open(self, event: str, metadata: Metadata) -> Closer:
        """Begin a span within the current one, or within the caller's own trace if it tells of one."""
        traceparent = metadata.get("traceparent")
        above = _propagator.extract({"traceparent": traceparent}) if traceparent else None
        kind = SpanKind.SERVER if event in _ENTRANCES else SpanKind.INTERNAL
        span = self._tracer.start_span(_name(event, metadata), context=above, kind=kind)
        token = context.attach(trace.set_span_in_context(span))

        def close(measurements: Measurements, told: Metadata) -> None:
            context.detach(token)
            span.update_name(_name(event, told))
            for name, value in {**measurements, **told}.items():
                if name not in {"seconds", "traceparent"} and value not in (None, ""):
                    is_plain = isinstance(value, (int, float))
                    span.set_attribute(f"hatchet.{name}", value if is_plain else str(value))
            if _is_failure(told):
                span.set_status(Status(StatusCode.ERROR, str(told.get("error") or "")))
            span.end()

        return close


def _name(event: str, metadata: Metadata) -> str:
    """What the span is called: few names, however many there are."""
    match event:
        case "database.operation":
            return str(metadata["operation"])
        case "loop.tick":
            return f"loop {metadata['loop']}"
        case "http.answered":
            return f"{metadata['method']} {metadata.get('route', '')}".strip()
        case _:
            return str(metadata["method"])


def _is_failure(told: Metadata) -> bool:
    if "status" in told:
        return int(told["status"]) >= 500
    if "code" in told:
        return told["code"] in {"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS"}
    return told.get("outcome") not in _GOOD
