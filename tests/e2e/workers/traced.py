"""Instrumented tasks: spans of the SDK, and own ones within them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hatchet_sdk import Context, DurableContext, EmptyModel, Hatchet
from hatchet_sdk.clients.rest.api.observability_api import ObservabilityApi
from hatchet_sdk.opentelemetry.instrumentor import HatchetInstrumentor
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from tests.e2e.workers.signals import worker_name

hatchet = Hatchet()
instrumentor = HatchetInstrumentor(schedule_delay_millis=100)
instrumentor.instrument()
tracer = trace.get_tracer("shop")


@hatchet.task(name="traced-child")
async def child(given: EmptyModel, ctx: Context) -> None:
    with tracer.start_as_current_span("inside-child"):
        pass


@hatchet.task(name="traced-parent", retries=1)
async def parent(given: EmptyModel, ctx: Context) -> dict[str, Any]:
    with tracer.start_as_current_span("charge", attributes={"amount": 7}) as span:
        if ctx.retry_count == 0:
            raise ValueError("the first time it fails")
        await child.aio_run()
        return {"trace_id": f"{span.get_span_context().trace_id:032x}"}


@hatchet.task(name="traced-on-event", on_events=["traced:happened"])
async def on_event(given: EmptyModel, ctx: Context) -> None:
    with tracer.start_as_current_span("inside-event"):
        pass


@hatchet.durable_task(name="traced-durable")
async def durable(given: EmptyModel, ctx: DurableContext) -> dict[str, str]:
    await ctx.aio_sleep_for(timedelta(seconds=1))
    return {"traceparent": str((ctx.additional_metadata or {}).get("traceparent"))}


# Calls


def flush() -> None:
    """Send what is waiting, as a program does before it ends."""
    assert isinstance(instrumentor.tracer_provider, TracerProvider)
    instrumentor.tracer_provider.force_flush()


async def run_parent() -> Any:
    ref = await parent.aio_run(wait_for_result=False)
    result = await ref.aio_result()
    flush()
    return {"id": ref.workflow_run_id, "result": result}


async def run_durable() -> Any:
    ref = await durable.aio_run(wait_for_result=False)
    return {"id": ref.workflow_run_id, "result": await ref.aio_result()}


def push() -> str:
    event = hatchet.event.push("traced:happened", {})
    flush()
    return str(event.event_id)


def runs_of_event(event_id: str) -> list[str]:
    found = hatchet.runs.list(triggering_event_external_id=event_id, only_tasks=True)
    return [row.metadata.id for row in found.rows if row.status.value == "COMPLETED"]


def trace_of(run_id: str) -> list[dict[str, Any]]:
    """The trace over REST, read with the SDK's own client."""
    with hatchet.runs.client() as client:
        found = ObservabilityApi(client).v1_observability_get_trace(
            tenant=hatchet.tenant_id, run_external_id=run_id
        )
    return [
        {
            "name": span.span_name,
            "trace": span.trace_id,
            "id": span.span_id,
            "parent": span.parent_span_id,
            "kind": span.span_kind.value,
            "status": span.status_code.value,
            "retry": span.retry_count,
            "attributes": span.span_attributes,
        }
        for span in found.rows or []
    ]


def main() -> None:
    hatchet.worker(worker_name(), slots=20, workflows=[child, parent, on_event, durable]).start()


if __name__ == "__main__":
    main()
