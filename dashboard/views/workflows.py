"""Workflows: what can be run, in which versions, and how its latest runs went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard.definitions import definition_of, drawing
from dashboard.gate import PageRequest, tenant_page
from dashboard.rendering import render_fragment
from engine.models.definitions import Workflow, WorkflowVersion
from engine.models.run_queries import runs_of, status_counts_by_workflow, with_attempt_times
from engine.models.runs import Run
from engine.models.workflow_queries import (
    definitions_of_versions,
    with_latest_version,
    workflows_of,
)
from engine.operations.put_workflow import delete_workflow
from engine.states import Status
from engine.store import sync_db
from tenants.audit.declared import Changes
from tenants.models import Role

VERSIONS_SHOWN = 20
WORKFLOWS_SHOWN = 1_000
DEFINITION_BYTES = 2 * 1024 * 1024
"""How much of all their definitions the list of workflows reads; its rows lack what is beyond."""
RUNS_SHOWN = 15
COUNTED = timedelta(days=1)


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    return render(request, "dashboard/workflows/index.html", _list_context(request))


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/workflows/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    found = list(with_latest_version(workflows_of(request.tenant.id))[: WORKFLOWS_SHOWN + 1])
    workflows = found[:WORKFLOWS_SHOWN]
    newest = [getattr(workflow, "latest_id", None) for workflow in workflows]
    definitions = definitions_of_versions(newest, room=DEFINITION_BYTES)
    counts = status_counts_by_workflow(request.tenant.id, since=datetime.now(UTC) - COUNTED)
    return {
        "workflows": [
            {
                "workflow": workflow,
                "definition": definition_of(definitions.get(getattr(workflow, "latest_id", None))),
                "counts": _shown_counts(counts.get(workflow.id, {})),
            }
            for workflow in workflows
        ],
        "has_more": len(found) > WORKFLOWS_SHOWN,
    }


def _shown_counts(counts: dict[Status, int]) -> list[tuple[Status, int]]:
    return [(status, counts[status]) for status in Status if counts.get(status)]


@tenant_page()
def detail(request: PageRequest, workflow_id: UUID) -> HttpResponse:
    workflow = find_workflow(request, workflow_id)
    versions = _versions(workflow)
    wanted = request.GET.get("version", "")
    shown = next((one for one in versions if str(one.order) == wanted), next(iter(versions), None))
    definition = definition_of(shown.definition) if shown else None
    context = {
        "workflow": workflow,
        "versions": versions,
        "shown": shown,
        "definition": definition,
        "graph": drawing(definition) if definition and definition.is_dag else None,
        "runs": _recent_runs(workflow),
    }
    return render(request, "dashboard/workflows/detail.html", context)


@tenant_page()
def detail_live(request: PageRequest, workflow_id: UUID) -> HttpResponse:
    workflow = find_workflow(request, workflow_id)
    context = {"workflow": workflow, "runs": _recent_runs(workflow)}
    return render_fragment(request, "dashboard/workflows/_runs.html", context)


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("workflow.delete"))
def delete(request: PageRequest, workflow_id: UUID) -> HttpResponse:
    """Ask first, then delete. Runs stay; a worker that registers the name again brings it back."""
    workflow = find_workflow(request, workflow_id)
    if request.method != "POST":
        return render(request, "dashboard/workflows/delete.html", {"workflow": workflow})
    sync_db.run(delete_workflow(request.tenant.id, workflow.id, datetime.now(UTC)))
    messages.success(request, f"Workflow {workflow.name} is deleted.")
    return redirect("dashboard:workflows", request.tenant.slug)


def find_workflow(request: PageRequest, workflow_id: UUID) -> Workflow:
    workflow = workflows_of(request.tenant.id).filter(id=workflow_id).first()
    if workflow is None:
        raise Http404("no such workflow")
    return workflow


def _recent_runs(workflow: Workflow) -> list[Run]:
    runs = runs_of(workflow.tenant_id).filter(workflow_id=workflow.id)
    return list(with_attempt_times(runs).order_by("-id").defer("additional_metadata")[:RUNS_SHOWN])


def _versions(workflow: Workflow) -> list[WorkflowVersion]:
    versions = workflow.versions.order_by("-order").defer("checksum", "definition")
    return list(versions[:VERSIONS_SHOWN])
