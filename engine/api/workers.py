"""Workers: who is connected, what they can do, and pausing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.room import Room, packed
from engine.api.views import EngineView, WorkerView
from engine.api.worker_shapes import worker_rows
from engine.models import Step, Task, Worker
from engine.models.metadata_filters import metadata_reads
from engine.models.worker_queries import WorkerStatus, seen_workers, status_of
from engine.operations.pause_worker import pause_worker
from engine.states import Status
from engine.store import sync_db
from tenants.rest import in_body, in_query
from tenants.rest.accepted import takes_body, takes_query
from tenants.rest.errors import AnyDict
from tenants.rest.paging import MOST_ROWS, ROWS_AT_A_TIME, Page

_RECENT = 20


@dataclass(frozen=True, slots=True)
class WorkerSelection(Page):
    limit: int = in_query.whole("limit", 10_000, minimum=1, maximum=MOST_ROWS)
    statuses: list[WorkerStatus] = in_query.members("statuses", WorkerStatus)
    labels: list[tuple[str, str]] = in_query.pairs("labels")


@dataclass(frozen=True, slots=True)
class WorkerUpdate:
    is_paused: bool | None = in_body.optional_flag("isPaused")


class WorkerListView(EngineView):
    """Workers heard of in the last 24 hours, the most recent first."""

    @takes_query(WorkerSelection)
    def get(self, request: Request, page: WorkerSelection, **_: Any) -> Response:
        now = datetime.now(UTC)
        seen = seen_workers(self.tenant.id, now)
        for key, value in page.labels:
            seen = seen.filter(metadata_reads(key, value, "labels"))
        found = [
            worker.id
            for worker in seen.only("is_active", "is_paused", "last_heartbeat_at")
            if not page.statuses or status_of(worker, now) in page.statuses
        ]
        room = Room()
        rows: list[object] = []
        shown = found[page.offset : page.offset + page.limit]
        for start in range(0, len(shown), ROWS_AT_A_TIME):
            rows += packed(worker_rows(shown[start : start + ROWS_AT_A_TIME], now, room))
        return Response(page.answer(rows, len(found)))


class WorkerDetailView(WorkerView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(_details(self.worker))

    @takes_body(WorkerUpdate)
    def patch(self, request: Request, wanted: WorkerUpdate, **_: Any) -> Response:
        is_paused = wanted.is_paused
        if is_paused is not None:
            now = datetime.now(UTC)
            sync_db.run(pause_worker(self.tenant.id, self.worker.id, is_paused=is_paused, now=now))
            self.worker.refresh_from_db()
        return Response(_details(self.worker))


def _details(worker: Worker) -> AnyDict:
    now = datetime.now(UTC)
    running = list(
        Task.objects.filter(worker_id=worker.id, status=Status.RUNNING).order_by("-id")[:_RECENT]
    )
    return worker_rows([worker.id], now, Room())[0] | {
        "registeredWorkflows": _registered_workflows(worker.tenant_id, worker.actions),
        "slots": [_slot_shape(task) for task in running],
        "recentStepRuns": [],
    }


def _slot_shape(task: Task) -> AnyDict:
    return {
        "stepRunId": str(task.id),
        "actionId": task.action_id,
        "workflowRunId": str(task.run_id),
        "status": "RUNNING",
    }


def _registered_workflows(tenant_id: UUID, actions: Sequence[str]) -> list[AnyDict]:
    """Live workflows with a step whose action this worker offers."""
    of_tenant = Q(version__workflow__tenant_id=tenant_id)
    alive = Q(version__workflow__deleted_at__isnull=True)
    steps = Step.objects.filter(of_tenant, alive, action_id__in=actions)
    found = steps.values_list("version__workflow__id", "version__workflow__name").distinct()
    return [
        {"id": str(workflow_id), "name": name}
        for workflow_id, name in found.order_by("version__workflow__name")
    ]
