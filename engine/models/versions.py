"""What answers say of a workflow's version, which never changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

import orjson
from django.db.models import TextField
from django.db.models.functions import Cast

from engine.models.definitions import Step, WorkflowVersion
from engine.models.remembered import Remembered

MOST_BYTES = 16 * 1024 * 1024


class ShownStep(NamedTuple):
    id: UUID
    readable_id: str
    children: tuple[UUID, ...]
    """The steps that depend on it."""


class ShownVersion(NamedTuple):
    definition: bytes
    """The canonical form as JSON."""
    steps: tuple[ShownStep, ...]


UNKNOWN = ShownVersion(b"{}", ())


def shown_version(version_id: UUID) -> ShownVersion:
    return _versions.of([version_id]).get(version_id, UNKNOWN)


def _read(ids: Collection[UUID]) -> dict[UUID, ShownVersion]:
    texts = WorkflowVersion.objects.filter(id__in=ids).annotate(
        text=Cast("definition", TextField())
    )
    steps: dict[UUID, list[Step]] = defaultdict(list)
    for step in Step.objects.filter(version_id__in=ids).order_by("ordinal"):
        steps[step.version_id].append(step)
    return {
        version_id: ShownVersion(text.encode(), _shown(steps[version_id], text))
        for version_id, text in texts.values_list("id", "text")
    }


def _shown(steps: list[Step], definition: str) -> tuple[ShownStep, ...]:
    parents: dict[str, list[str]] = {
        step["readable_id"]: step.get("parents", [])
        for step in orjson.loads(definition).get("steps", [])
    }
    return tuple(
        ShownStep(
            step.id,
            step.readable_id,
            tuple(
                other.id
                for other in steps
                if step.readable_id in parents.get(other.readable_id, ())
            ),
        )
        for step in steps
    )


_versions: Remembered[UUID, ShownVersion] = Remembered(
    _read, most=MOST_BYTES, weigh=lambda version: len(version.definition)
)
