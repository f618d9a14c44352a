"""The TraceService of OTLP: spans that clients' exporters send."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb

from engine.otlp.answers import answer
from engine.otlp.intake import Intake
from engine.otlp.spans import SpanReader
from engine.runtime.service import Engine

_SPANS_A_TURN = 50
"""After so many the event loop turns to others: what workers wait for goes first."""


class TraceServicer:
    def __init__(self, engine: Engine, intake: Intake) -> None:
        self._engine, self._intake = engine, intake

    async def Export(
        self, request: pb.ExportTraceServiceRequest, tenant_id: UUID
    ) -> pb.ExportTraceServiceResponse:
        reader = SpanReader(tenant_id, self._intake, datetime.now(UTC))
        spans = []
        for number, span in enumerate(reader.read(request), 1):
            if span is not None:
                spans.append(span)
            if number % _SPANS_A_TURN == 0:
                await asyncio.sleep(0)
        unknown = await self._engine.record_spans(spans) if spans else 0
        return answer(tenant_id, reader, len(spans), unknown)
