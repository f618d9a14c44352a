"""What people call a run or a task: `<name>-<creation time in unix milliseconds>`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import BooleanField, Func

from engine.models.definitions import Step, Workflow


@dataclass(frozen=True, slots=True)
class Names:
    """Names of workflows and steps by id, loaded with one query for each kind."""

    workflows: dict[UUID, str]
    steps: dict[UUID, str]
    durable_steps: frozenset[UUID] = frozenset()

    def run_display_name(self, run_id: UUID, workflow_id: UUID) -> str:
        return display_name(self.workflows.get(workflow_id, "unknown"), run_id)

    def task_display_name(self, task_id: UUID, step_id: UUID) -> str:
        return display_name(self.steps.get(step_id, "unknown"), task_id)


def display_name(name: str, uuid7: UUID) -> str:
    return f"{name}-{uuid7.int >> 80}"


def load_names(workflow_ids: Collection[UUID], step_ids: Collection[UUID]) -> Names:
    workflows = Workflow.objects.filter(id__in=set(workflow_ids)).values_list("id", "name")
    steps = (
        Step.objects.filter(id__in=set(step_ids))
        .annotate(is_durable=_IsDurable("version__definition", "ordinal"))
        .values_list("id", "readable_id", "is_durable")
    )
    found = list(steps) if step_ids else []
    return Names(
        dict(workflows) if workflow_ids else {},
        {step_id: name for step_id, name, _ in found},
        frozenset(step_id for step_id, _, is_durable in found if is_durable),
    )


class _IsDurable(Func):
    """Whether the step at this place of this definition is a durable task."""

    template = "coalesce((%(expressions)s ->> 'is_durable')::boolean, false)"
    arg_joiner = " -> 'steps' -> "
    output_field = BooleanField()
