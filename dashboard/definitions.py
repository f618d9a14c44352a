"""Stored definitions as pages want them: their steps in words, their slots per step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from engine.domain.checksum import from_canonical_form
from engine.domain.definition import WorkflowDefinition
from engine.models.definitions import WorkflowVersion


def definition_of(stored: Any) -> WorkflowDefinition | None:
    """Rebuild a stored definition; None when there is none."""
    return from_canonical_form(stored) if stored else None


def slots_by_step(version_ids: Iterable[UUID]) -> dict[tuple[UUID, str], dict[str, int]]:
    """What one task of each step costs, by version and readable id, in one query."""
    stored = WorkflowVersion.objects.filter(id__in=set(version_ids)).values_list("id", "definition")
    return {
        (version_id, step.readable_id): dict(step.slots)
        for version_id, form in stored
        for step in from_canonical_form(form).steps
    }
