"""What a person does to durable tasks: bring an evicted one back, and run one again from a step on."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from dashboard.durable_run import parse_node
from dashboard.gate import PageRequest, tenant_page
from engine.errors import IdempotencyCollision, InvalidArgument, NotFound
from engine.models import Task
from engine.models.durable_queries import durable_task, log_entries
from engine.operations.durable.branch_tasks import branch_task
from engine.operations.durable.evict_tasks import restore_tasks
from engine.states import Status
from engine.store import sync_db
from tenants.audit.declared import Acts
from tenants.models import Role


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("task.restore"))
def restore(request: PageRequest, run_id: UUID, task_id: UUID) -> HttpResponse:
    was_evicted = _task(request, run_id, task_id).is_off_worker
    operation = restore_tasks(request.tenant.id, [task_id], datetime.now(UTC))
    with request.acting.on():
        sync_db.run(operation)
        if not was_evicted:
            request.acting.leave_out()
    if was_evicted:
        messages.success(request, "Task queued: it goes back to a worker.")
    else:
        messages.info(request, "Nothing to restore: the task does not wait without a worker.")
    return _back(request, run_id, task_id)


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Acts("task.reset"))
def reset(request: PageRequest, run_id: UUID, task_id: UUID) -> HttpResponse:
    """Ask first, then run a task again from a step on."""
    task = _task(request, run_id, task_id)
    node = parse_node(request.GET.get("step", ""))
    log = durable_task(request.tenant.id, task_id)
    entries = log_entries(task_id)
    if node is None or log is None:
        raise Http404("no such step")
    if not entries.filter(branch_id=node.branch_id, node_id=node.node_id).exists():
        raise Http404("no such step")
    if request.method != "POST":
        context = {
            "run_id": run_id,
            "task": task,
            "node": node,
            "log": log,
            "is_final": Status(task.status).is_final,
            "tab_query": _tab_query(task_id),
        }
        return render(request, "dashboard/run/reset.html", context)
    operation = branch_task(
        request.tenant.id, task_id, node.node_id, node.branch_id, datetime.now(UTC)
    )
    try:
        with request.acting.on() as told:
            branch_id = sync_db.run(operation)
            told.update(node=node.node_id, branch=branch_id)
    except NotFound as error:
        raise Http404("no such task") from error
    except InvalidArgument as error:
        messages.error(request, f"Not reset: {error}.")
    except IdempotencyCollision as error:
        holder = error.collisions[0].existing
        messages.error(request, f"Not reset: run {holder} holds its run's idempotency key.")
    else:
        text = f"The task runs again from step {node.node_id} on, on branch {branch_id}."
        messages.success(request, text)
    return _back(request, run_id, task_id)


def _task(request: PageRequest, run_id: UUID, task_id: UUID) -> Task:
    task = Task.objects.filter(tenant_id=request.tenant.id, run_id=run_id, id=task_id).first()
    if task is None:
        raise Http404("no such task")
    return task


def _back(request: PageRequest, run_id: UUID, task_id: UUID) -> HttpResponse:
    page = reverse("dashboard:run", args=[request.tenant.slug, run_id])
    return redirect(f"{page}?{_tab_query(task_id)}")


def _tab_query(task_id: UUID) -> str:
    return urlencode({"tab": "durable", "task": str(task_id)})
