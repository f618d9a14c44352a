"""Workers: who is connected, how full they are, what they are doing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard.gate import PageRequest, tenant_page
from dashboard.payloads import HEAD_BYTES, SMALL_BYTES
from dashboard.rendering import render_fragment
from engine.errors import NotFound
from engine.models.cluster import Worker
from engine.models.slot_queries import used_slots
from engine.models.task_queries import running_on
from engine.models.wide_columns import with_small
from engine.models.worker_queries import seen_workers, status_of, trouble_of, workers_of
from engine.operations.pause_worker import pause_worker
from engine.store import sync_db
from tenants.audit.declared import Changes
from tenants.models import Role

WORKERS_SHOWN = 500
RUNNING_SHOWN = 100


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    return render(request, "dashboard/workers/index.html", _list_context(request))


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/workers/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    now = datetime.now(UTC)
    seen = _with_small_parts(seen_workers(request.tenant.id, now), SMALL_BYTES)
    workers = list(seen.defer("actions", "runtime_extra")[:WORKERS_SHOWN])
    return {"workers": _with_state(workers, now)}


@tenant_page()
def detail(request: PageRequest, worker_id: UUID) -> HttpResponse:
    return render(request, "dashboard/workers/detail.html", _detail_context(request, worker_id))


@tenant_page()
def detail_live(request: PageRequest, worker_id: UUID) -> HttpResponse:
    context = _detail_context(request, worker_id)
    return render_fragment(request, "dashboard/workers/_worker.html", context)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("worker.update"))
def pause(request: PageRequest, worker_id: UUID) -> HttpResponse:
    """Pause a worker, or resume it with `paused=no`."""
    is_paused = request.POST.get("paused", "yes") != "no"
    operation = pause_worker(
        request.tenant.id, worker_id, is_paused=is_paused, now=datetime.now(UTC)
    )
    try:
        sync_db.run(operation)
    except NotFound:
        raise Http404("no such worker") from None
    words = "paused: it gets no new tasks" if is_paused else "resumed"
    messages.success(request, f"Worker {words}.")
    return redirect("dashboard:worker", request.tenant.slug, worker_id)


def _detail_context(request: PageRequest, worker_id: UUID) -> dict[str, Any]:
    workers = _with_small_parts(workers_of(request.tenant.id), HEAD_BYTES)
    worker = workers.filter(id=worker_id).first()
    if worker is None:
        raise Http404("no such worker")
    [state] = _with_state([worker], datetime.now(UTC))
    return state | {"running": list(running_on(worker.id)[:RUNNING_SHOWN])}


def _with_small_parts(workers: QuerySet[Worker], most: int) -> QuerySet[Worker]:
    return with_small(with_small(workers, "labels", most), "slots", most)


def _with_state(workers: Sequence[Worker], now: datetime) -> list[dict[str, Any]]:
    """Each worker with its status and, per slot type, how many of its slots are in use."""
    used = used_slots([worker.id for worker in workers])
    return [
        {
            "worker": worker,
            "state": status_of(worker, now).value.lower(),
            "trouble": trouble_of(worker, now),
            "slots": [
                {"kind": kind, "used": used.get(worker.id, {}).get(kind, 0), "total": total}
                for kind, total in sorted((getattr(worker, "small_slots", None) or {}).items())
            ],
            "labels": sorted((getattr(worker, "small_labels", None) or {}).items()),
        }
        for worker in workers
    ]
