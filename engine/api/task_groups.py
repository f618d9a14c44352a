"""How many tasks that wait or run have which keys of their concurrency groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from engine.domain.definition import Concurrency, WorkflowDefinition
from engine.domain.definition_form import from_canonical_form
from engine.models import WorkflowVersion
from engine.models.task_stat_queries import step_names
from engine.states import Status
from engine.store import figures, sync_db

MOST_KEYS = 1_000


class GroupCount(NamedTuple):
    """How many tasks have a key of one of their concurrency strategies; `strategy` is its name."""

    task_name: str
    status: Status
    expression: str
    strategy: str
    key: str
    number: int


def group_counts(tenant_id: UUID) -> list[GroupCount]:
    """Count the same tasks by the keys of their concurrency groups; of many keys those with the most."""
    rows = sync_db.read(figures.keys_in_use(tenant_id, MOST_KEYS))
    if not rows:
        return []
    stored = WorkflowVersion.objects.filter(id__in={row.version_id for row in rows})
    definitions = {
        id_: from_canonical_form(form) for id_, form in stored.values_list("id", "definition")
    }
    names = step_names({row.step_id for row in rows})
    counts = []
    for row in rows:
        name, definition = names.get(row.step_id, ""), definitions.get(row.version_id)
        if definition is None or not name:
            continue
        chain = _chain(definition, name, is_of_run=row.is_of_run)
        if row.place <= len(chain):
            strategy = chain[row.place - 1]
            counts.append(
                GroupCount(
                    name,
                    Status(row.status),
                    strategy.expression,
                    strategy.strategy.name,
                    row.key,
                    row.number,
                )
            )
    return counts


def _chain(definition: WorkflowDefinition, name: str, *, is_of_run: bool) -> Sequence[Concurrency]:
    """Return the strategies whose keys a task is stored with, or its run; as domain/concurrency.py makes them."""
    if is_of_run:
        return definition.concurrency
    own = next((step.concurrency for step in definition.steps if step.readable_id == name), ())
    return (*(() if definition.is_dag else definition.concurrency), *own)
