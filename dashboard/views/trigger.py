"""Starting a run by hand: choose a workflow, fill in its input, go."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard import trigger_form
from dashboard.definitions import definition_of
from dashboard.gate import PageRequest, tenant_page
from dashboard.trigger_form import TriggerForm
from engine.domain.definition import WorkflowDefinition
from engine.errors import HatchetError
from engine.models.definitions import Workflow
from engine.models.run_queries import runs_of
from engine.models.task_queries import payload
from engine.models.workflow_queries import with_latest_version, workflows_of
from engine.operations.announce import announced
from engine.operations.trigger_runs import trigger_runs
from engine.states import PayloadKind
from engine.store import sync_db
from engine.types import TriggerRequest
from tenants.models import Role

PRIORITY_WORDS = [
    ("", "Workflow's default"),
    ("1", "1 (low)"),
    ("2", "2 (medium)"),
    ("3", "3 (high)"),
]


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER)
def form(request: PageRequest) -> HttpResponse:
    """Show the form; a POST starts the run, or shows the form again with what is wrong."""
    is_post = request.method == "POST"
    given = request.POST if is_post else request.GET
    workflow = _workflow(request, given.get("workflow", ""))
    definition = definition_of(getattr(workflow, "latest_definition", None))
    filled = trigger_form.blank(definition, wants_raw=given.get("mode") == "raw")
    if not is_post:
        _prefill(request, filled)
        return _page(request, workflow, definition, filled)
    if "switch" in request.POST:
        return _page(request, workflow, definition, _switched(request, filled, definition))
    if workflow is None or definition is None:
        filled.problems.append("Choose a workflow.")
        return _page(request, workflow, definition, filled, status=422)
    return _start(request, workflow, definition, filled)


def _workflow(request: PageRequest, text: str) -> Workflow | None:
    if not text:
        return None
    try:
        wanted = UUID(text)
    except ValueError:
        raise Http404("no such workflow") from None
    found = with_latest_version(workflows_of(request.tenant.id)).filter(id=wanted).first()
    if found is None:
        raise Http404("no such workflow")
    return found


def _prefill(request: PageRequest, filled: TriggerForm) -> None:
    """`?from=<run>` starts with that run's input, if the reader may see inputs."""
    try:
        run_id = UUID(request.GET.get("from", ""))
    except ValueError:
        return
    is_known = runs_of(request.tenant.id).filter(id=run_id).exists()
    if is_known and request.access.can_view_payloads:
        stored = payload(run_id, PayloadKind.INPUT).first()
        if stored is not None:
            trigger_form.prefill(filled, bytes(stored.data))


def _switched(
    request: PageRequest, filled: TriggerForm, definition: WorkflowDefinition | None
) -> TriggerForm:
    """Change between fields and JSON and keep what was typed."""
    document = trigger_form.read_document(filled, request.POST)
    trigger_form.read_metadata(filled, request.POST)
    trigger_form.read_priority(filled, request.POST)
    if not filled.is_good:
        return filled
    other = trigger_form.blank(definition, wants_raw=not filled.is_raw)
    trigger_form.show(other, document)
    other.metadata, other.priority = filled.metadata, filled.priority
    return other


def _start(
    request: PageRequest, workflow: Workflow, definition: WorkflowDefinition, filled: TriggerForm
) -> HttpResponse:
    data = trigger_form.read_input(filled, request.POST)
    metadata = trigger_form.read_metadata(filled, request.POST)
    priority = trigger_form.read_priority(filled, request.POST)
    if not filled.is_good:
        return _page(request, workflow, definition, filled, status=422)
    wanted = TriggerRequest(
        workflow.name, input=data, additional_metadata=metadata, priority=priority
    )
    try:
        [run_id] = sync_db.run(
            announced(trigger_runs(request.tenant.id, [wanted], datetime.now(UTC)))
        )
    except HatchetError as error:
        filled.problems.append(str(error))
        return _page(request, workflow, definition, filled, status=422)
    messages.success(request, f"Run of {workflow.name} started.")
    return redirect("dashboard:run", request.tenant.slug, run_id)


def _page(
    request: PageRequest,
    workflow: Workflow | None,
    definition: WorkflowDefinition | None,
    filled: TriggerForm,
    status: int = 200,
) -> HttpResponse:
    context = {
        "workflow": workflow,
        "definition": definition,
        "form": filled,
        "priorities": PRIORITY_WORDS,
        "workflows": list(workflows_of(request.tenant.id).values_list("id", "name")),
    }
    return render(request, "dashboard/runs/trigger.html", context, status=status)
