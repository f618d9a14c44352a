"""How many spans a second the collector on the engine's port takes, and what one costs."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from typing import Any
from uuid import UUID

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from benchmarks.installation import Installation
from benchmarks.processes import agents, cpu_seconds

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
WORKFLOW = "bench-traces"
RUNS = 200
SPANS = 512
"""Of one export: what the SDKs' exporters send at most."""
SPANS_OF_A_TRACE = 16
EXPORTERS = 4


def measure_traces(installed: Installation, exports: int) -> dict[str, Any]:
    """Send exports as instrumented workers do, from a few of them at once."""
    run_ids = _runs(installed)
    made = deque(_export(run_ids, number) for number in range(exports))
    pids = {"engine": installed.engine_pid, "postgres": installed.postgres_pid}
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    began = time.perf_counter()
    refused = asyncio.run(_send(installed, made))
    seconds = time.perf_counter() - began
    spans = exports * SPANS
    micros = {
        f"{name}_us": round((cpu_seconds(pid) - before[name]) / spans * 1e6, 1)
        for name, pid in pids.items()
    }
    return {
        "spans": spans - refused,
        "refused": refused,
        "per_second": round((spans - refused) / seconds, 1),
        "per_second_of_one_core": round(1e6 / sum(micros.values()), 1),
        **micros,
    }


def _runs(installed: Installation) -> list[UUID]:
    """Start runs that nobody works on; return their ids."""
    with agents(installed.target) as (client,):
        client.ask("put_workflow", workflow=WORKFLOW)
        client.ask("enqueue", workflow=WORKFLOW, count=RUNS, size=RUNS, concurrency=1)
    rows = installed.database.execute(
        "SELECT r.id FROM engine_run r JOIN engine_workflow w ON w.id = r.workflow_id"
        " WHERE w.name = %s",
        [WORKFLOW],
    ).fetchall()
    return [run_id for (run_id,) in rows]


def _export(run_ids: list[UUID], number: int) -> bytes:
    begun, spans = time.time_ns(), []
    for index in range(SPANS):
        of_trace, place = divmod(index, SPANS_OF_A_TRACE)
        run_id = run_ids[(number * SPANS // SPANS_OF_A_TRACE + of_trace) % len(run_ids)]
        spans.append(
            Span(
                trace_id=(number << 32 | of_trace).to_bytes(15, "big") + b"\x01",
                span_id=os.urandom(8),
                name=f"step {place}",
                kind=Span.SPAN_KIND_INTERNAL,
                start_time_unix_nano=begun,
                end_time_unix_nano=begun + 1_000_000,
                attributes=_attributes(run_id),
            )
        )
    resource = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
    resource.resource.attributes.append(_text("service.name", "bench"))
    return ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString()


def _attributes(run_id: UUID) -> list[KeyValue]:
    """As many as the SDK's spans have within a task."""
    named = {
        "hatchet.workflow_run_id": str(run_id),
        "hatchet.step_run_id": str(run_id),
        "hatchet.workflow_name": WORKFLOW,
        "hatchet.payload": '{"input": {"customer": 42, "items": ["a", "b", "c"]}}',
        "instrumentor": "hatchet",
    }
    named |= {f"attribute.{number}": f"value {number}" for number in range(10)}
    return [_text(key, value) for key, value in named.items()]


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


async def _send(installed: Installation, exports: deque[bytes]) -> int:
    """Send all of them; return how many spans were not stored."""
    metadata = (("authorization", f"Bearer {installed.target.token}"),)
    refused = 0

    async def exporter() -> None:
        nonlocal refused
        async with grpc.aio.insecure_channel(installed.target.address) as channel:
            call: Any = channel.unary_unary(
                EXPORT, response_deserializer=ExportTraceServiceResponse.FromString
            )
            while exports:
                answer = await call(exports.popleft(), metadata=metadata)
                refused += answer.partial_success.rejected_spans

    await asyncio.gather(*(exporter() for _ in range(EXPORTERS)))
    return refused
