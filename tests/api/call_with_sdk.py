"""Run in a process of its own: use the official SDK's feature clients and print what they saw.

The token comes from the environment; a run, a worker and an event exist already and are named by
the arguments.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta

from hatchet_sdk import Hatchet
from hatchet_sdk.clients.rest.exceptions import ApiException, ForbiddenException
from hatchet_sdk.clients.rest.models.v1_task_status import V1TaskStatus
from hatchet_sdk.features.runs import BulkCancelReplayOpts, RunFilter
from hatchet_sdk.features.tenant import TenantClient


def see(run_id: str, worker_id: str, event_id: str) -> dict[str, object]:
    hatchet = Hatchet()
    created = hatchet.runs.create(
        "greet", {"who": "sdk"}, additional_metadata={"from": "sdk", "n": 2**64 + 1}
    )
    new_id = created.run.metadata.id
    seen: dict[str, object] = {
        "tenant": TenantClient(hatchet.config).get().slug,
        "result": hatchet.runs.get_result(run_id),
        "status": hatchet.runs.get_status(run_id).value,
        "task": hatchet.runs.get_task_run(run_id).output,
        "logs": [line.message for line in hatchet.logs.list(run_id).rows or []],
        "new_input": hatchet.runs.get(new_id).run.input,
        "new_metadata": hatchet.runs.get(new_id).run.additional_metadata,
        "by_metadata": [
            row.metadata.id
            for row in hatchet.runs.list(additional_metadata={"from": "sdk"}).rows
            if row.metadata.id == new_id
        ]
        == [new_id],
        "completed": len(hatchet.runs.list(statuses=[V1TaskStatus.COMPLETED]).rows),
        "paginated": len(
            hatchet.runs.list_with_pagination(since=datetime.now(UTC) - timedelta(days=2))
        ),
        "tasks": len(hatchet.runs.list(only_tasks=True, limit=1000).rows),
        "children_of": len(hatchet.runs.list(parent_task_external_id=run_id).rows),
        "event_runs": len(hatchet.runs.list(triggering_event_external_id=event_id).rows),
        "metrics": hatchet.metrics.get_task_metrics().model_dump(),
        "queues": hatchet.metrics.get_queue_metrics(),
        "stats": sorted(hatchet.metrics.get_task_stats()),
        "scraped": "hatchet_tenant_worker_slots{"
        in hatchet.metrics.scrape_tenant_prometheus_metrics(),
        "workers": [worker.status for worker in hatchet.workers.list().rows or []],
        "event": [event.payload for event in hatchet.event.list(event_ids=[event_id]).rows or []],
    }
    seen["webhooks"] = hatchet.webhooks.list().rows
    workflow = (hatchet.workflows.list(workflow_name="greet").rows or [])[0]
    seen["workflow"] = hatchet.workflows.get(workflow.metadata.id).name
    seen["version"] = hatchet.workflows.get_version(workflow.metadata.id).order
    return seen | change(hatchet, new_id, worker_id, workflow.metadata.id)


def change(hatchet: Hatchet, new_id: str, worker_id: str, workflow_id: str) -> dict[str, object]:
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    seen: dict[str, object] = {}
    hatchet.runs.cancel(new_id)
    seen["cancelled"] = hatchet.runs.get_status(new_id).value
    by_filter = RunFilter(since=an_hour_ago, additional_metadata={"from": "sdk"})
    hatchet.runs.bulk_replay(BulkCancelReplayOpts(filters=by_filter))
    seen["replayed"] = hatchet.runs.get_task_run(new_id).retry_count
    hatchet.runs.bulk_cancel_by_filters_with_pagination(
        sleep_time=0, additional_metadata={"from": "sdk"}, statuses=[V1TaskStatus.QUEUED]
    )
    seen["cancelled_again"] = hatchet.runs.get_status(new_id).value
    seen["paused"] = hatchet.workers.pause(worker_id).status
    seen["resumed"] = hatchet.workers.unpause(worker_id).status
    hatchet.workflows.delete(workflow_id)
    seen["deleted"] = hatchet.workflows.list(workflow_name="greet").rows
    seen["unknown_workflow"] = status_of_creating(hatchet, "nobody")
    return seen


def status_of_creating(hatchet: Hatchet, name: str) -> int:
    try:
        hatchet.runs.create(name, {})
    except ApiException as error:
        return int(error.status)
    return 200


def status_of_asking() -> int:
    try:
        Hatchet().workers.list()
    except ForbiddenException as error:
        return int(error.status)
    return 200


if __name__ == "__main__":
    answer = {"status": status_of_asking()} if len(sys.argv) == 1 else see(*sys.argv[1:])
    json.dump(answer, sys.stdout)
