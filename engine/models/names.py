"""What people call a run or a task: `<name>-<creation time in unix milliseconds>`.

Names of workflows and steps never change, so they are read once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.db.models import BooleanField, Func

from engine.models.definitions import Step, Workflow
from engine.models.remembered import Remembered

MOST_NAMES = 50_000


@dataclass(frozen=True, slots=True)
class Names:
    """Names of workflows and steps by id."""

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
    steps = _steps.of(step_ids)
    return Names(
        _workflows.of(workflow_ids),
        {step_id: step.readable_id for step_id, step in steps.items()},
        frozenset(step_id for step_id, step in steps.items() if step.is_durable),
    )


class _NamedStep(NamedTuple):
    readable_id: str
    is_durable: bool


def _read_workflows(ids: Collection[UUID]) -> dict[UUID, str]:
    return dict(Workflow.objects.filter(id__in=ids).values_list("id", "name"))


def _read_steps(ids: Collection[UUID]) -> dict[UUID, _NamedStep]:
    steps = (
        Step.objects.filter(id__in=ids)
        .annotate(is_durable=_IsDurable("version__definition", "ordinal"))
        .values_list("id", "readable_id", "is_durable")
    )
    return {step_id: _NamedStep(name, is_durable) for step_id, name, is_durable in steps}


class _IsDurable(Func):
    """Whether the step at this place of this definition is a durable task."""

    template = "coalesce((%(expressions)s ->> 'is_durable')::boolean, false)"
    arg_joiner = " -> 'steps' -> "
    output_field = BooleanField()


_workflows: Remembered[UUID, str] = Remembered(_read_workflows, most=MOST_NAMES)
_steps: Remembered[UUID, _NamedStep] = Remembered(_read_steps, most=MOST_NAMES)
