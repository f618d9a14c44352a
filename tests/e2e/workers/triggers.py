"""Workflows that start by themselves: at times, at an instant, and by events that pass filters."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hatchet_sdk import Context, DefaultFilter, Hatchet
from hatchet_sdk.clients.rest.api.workflow_api import WorkflowApi
from hatchet_sdk.clients.rest.models.v1_task_status import V1TaskStatus
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, worker_name

hatchet = Hatchet()


class Given(BaseModel):
    source: str = ""
    amount: float = 0


def note(name: str, given: Given, ctx: Context) -> dict[str, Any]:
    told = {
        "source": given.source,
        "metadata": ctx.additional_metadata,
        "filter": ctx.filter_payload,
        "run": ctx.workflow_run_id,
    }
    mark(name, json.dumps(told))
    return {"source": given.source}


@hatchet.task(
    name="ticking",
    on_crons=["* * * * * *"],
    cron_input=Given(source="code"),
    input_validator=Given,
)
def ticking(given: Given, ctx: Context) -> dict[str, Any]:
    return note("ticking", given, ctx)


@hatchet.task(name="planned", input_validator=Given)
def planned(given: Given, ctx: Context) -> dict[str, Any]:
    return note("planned", given, ctx)


@hatchet.task(
    name="filtered",
    on_events=["order:*"],
    input_validator=Given,
    default_filters=[
        DefaultFilter(
            expression="input.amount >= payload.least", scope="orders", payload={"least": 100}
        )
    ],
)
def filtered(given: Given, ctx: Context) -> dict[str, Any]:
    return note("filtered", given, ctx)


# Calls


def declared_crons() -> Any:
    rows = hatchet.cron.list(workflow_name="ticking").rows or []
    return [[row.metadata.id, row.cron, row.name, row.method, row.input] for row in rows]


async def run_cron(cron_id: str) -> Any:
    with hatchet.cron.client() as client:
        made = WorkflowApi(client).workflow_cron_trigger(hatchet.tenant_id, cron_id)
    return await hatchet.runs.get_run_ref(str(made.external_id)).aio_result()


def delete_workflow(workflow: str) -> str:
    (found,) = hatchet.workflows.list(workflow_name=workflow).rows or []
    hatchet.workflows.delete(found.metadata.id)
    return found.metadata.id


def workflow_ids(workflow: str) -> list[str]:
    return [row.metadata.id for row in hatchet.workflows.list(workflow_name=workflow).rows or []]


async def run_ticking() -> Any:
    return await ticking.aio_run(Given(source="hand"))


def delete_cron(cron_id: str) -> None:
    hatchet.cron.delete(cron_id)


def make_cron(expression: str) -> Any:
    made = hatchet.cron.create(
        workflow_name="planned",
        cron_name="often",
        expression=expression,
        input={"source": "cron"},
        additional_metadata={"team": "a"},
        priority=2,
    )
    found = hatchet.cron.get(made.metadata.id)
    return [made.metadata.id, found.cron, found.name, found.enabled, found.priority]


async def schedule_in(delay: float) -> str:
    """Over gRPC; return the schedule's id."""
    at = datetime.now(UTC) + timedelta(seconds=delay)
    made = await planned.aio_schedule(at, Given(source="schedule"))
    return str(made.scheduled_workflows[0].id)


def schedule_by_rest(delay: float) -> str:
    at = datetime.now(UTC) + timedelta(seconds=delay)
    made = hatchet.scheduled.create(
        workflow_name="planned",
        trigger_at=at,
        input={"source": "rest"},
        additional_metadata={"team": "b"},
    )
    return str(made.metadata.id)


def move_schedule(schedule_id: str, delay: float) -> None:
    hatchet.scheduled.update(schedule_id, trigger_at=datetime.now(UTC) + timedelta(seconds=delay))


def schedules() -> Any:
    rows = hatchet.scheduled.list().rows or []
    return {row.metadata.id: row.workflow_run_status for row in rows}


def delete_schedules(ids: list[str]) -> Any:
    done = hatchet.scheduled.bulk_delete(scheduled_ids=ids)
    return [done.deleted_ids, [error.id for error in done.errors]]


def push(key: str, amount: float, scope: str | None) -> str:
    event = hatchet.event.push(
        key, {"source": "event", "amount": amount}, additional_metadata={"a": "b"}, scope=scope
    )
    return str(event.event_id)


def runs_of_event(event_id: str) -> int:
    found = hatchet.runs.list(triggering_event_external_id=event_id)
    return len([run for run in found.rows if run.status is V1TaskStatus.COMPLETED])


def add_filter(expression: str, payload: dict[str, Any]) -> str:
    return str(filtered.create_filter(expression, "orders", payload).metadata.id)


def delete_filter(filter_id: str) -> None:
    hatchet.filters.delete(filter_id)


def debug(expression: str, given: dict[str, Any]) -> Any:
    found = hatchet.cel.debug(expression, given).result
    return found.output if found.status == "success" else found.error


def main() -> None:
    hatchet.worker(worker_name(), slots=20, workflows=[ticking, planned, filtered]).start()


if __name__ == "__main__":
    main()
