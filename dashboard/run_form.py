"""What every form has that starts runs, now or later: the workflow, its input, metadata, priority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import Http404

from dashboard import trigger_form
from dashboard.definitions import definition_of
from dashboard.gate import PageRequest
from dashboard.trigger_form import TriggerForm
from engine.domain.definition import WorkflowDefinition
from engine.models.definitions import Workflow
from engine.models.workflow_queries import workflows_of
from engine.types import TriggerRequest

PRIORITY_WORDS = [
    ("", "Workflow's default"),
    ("1", "1 (low)"),
    ("2", "2 (medium)"),
    ("3", "3 (high)"),
]


@dataclass(slots=True)
class RunForm:
    """`workflow` is None until one was chosen; `filled` holds what was typed and what is wrong with it."""

    workflow: Workflow | None
    definition: WorkflowDefinition | None
    filled: TriggerForm

    @property
    def problems(self) -> list[str]:
        return self.filled.problems


def open_form(request: PageRequest) -> RunForm:
    given = request.POST if request.method == "POST" else request.GET
    workflow = chosen_workflow(request, given.get("workflow", ""))
    newest = None if workflow is None else workflow.versions.order_by("-order").first()
    definition = definition_of(newest.definition) if newest else None
    wants_raw = given.get("mode") == "raw"
    return RunForm(workflow, definition, trigger_form.blank(definition, wants_raw=wants_raw))


def chosen_workflow(request: PageRequest, text: str) -> Workflow | None:
    if not text:
        return None
    try:
        wanted = UUID(text)
    except ValueError:
        raise Http404("no such workflow") from None
    found = workflows_of(request.tenant.id).filter(id=wanted).first()
    if found is None:
        raise Http404("no such workflow")
    return found


def switch_mode(form: RunForm, request: PageRequest) -> None:
    """Change between fields and JSON and keep what was typed."""
    filled = form.filled
    document = trigger_form.read_document(filled, request.POST)
    trigger_form.read_metadata(filled, request.POST)
    trigger_form.read_priority(filled, request.POST)
    if not filled.is_good:
        return
    other = trigger_form.blank(form.definition, wants_raw=not filled.is_raw)
    trigger_form.show(other, document)
    other.metadata, other.priority = filled.metadata, filled.priority
    form.filled = other


def read_request(form: RunForm, request: PageRequest) -> TriggerRequest | None:
    """Return what is to be started, or None after noting in the form what is wrong."""
    if form.workflow is None or form.definition is None:
        form.problems.append("Choose a workflow.")
        return None
    data = trigger_form.read_input(form.filled, request.POST)
    metadata = trigger_form.read_metadata(form.filled, request.POST)
    priority = trigger_form.read_priority(form.filled, request.POST)
    if not form.filled.is_good:
        return None
    return TriggerRequest(
        form.workflow.name, input=data, additional_metadata=metadata, priority=priority
    )


def form_context(request: PageRequest, form: RunForm) -> dict[str, Any]:
    return {
        "workflow": form.workflow,
        "definition": form.definition,
        "form": form.filled,
        "priorities": PRIORITY_WORDS,
        "workflows": workflow_choices(request),
    }


def workflow_choices(request: PageRequest) -> list[tuple[UUID, str]]:
    return list(workflows_of(request.tenant.id).values_list("id", "name"))
