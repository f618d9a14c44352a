"""What an exporter of spans is told, and what this process says of them itself."""

from __future__ import annotations

from uuid import UUID

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from engine import telemetry
from engine.otlp.spans import UNKNOWN_RUN, SpanReader


def answer(
    tenant_id: UUID, reader: SpanReader, sent: int, unknown: int
) -> ExportTraceServiceResponse:
    """Of the spans that were `sent` to the database so many were of runs `unknown` to it."""
    refused = reader.refused.copy()
    if unknown:
        refused[UNKNOWN_RUN] += unknown
    counts = {
        "stored": sent - unknown,
        "refused": refused.total(),
        "sampled_out": reader.sampled_out,
    }
    telemetry.emit("spans.received", counts, {"tenant_id": tenant_id})
    if not refused:
        return ExportTraceServiceResponse()
    said = "; ".join(f"{number} {reason}" for reason, number in sorted(refused.items()))
    return ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(
            rejected_spans=refused.total(), error_message=f"spans that are not stored: {said}"
        )
    )
