"""What a bulk action has still to come to."""

from __future__ import annotations

from django.db.models import QuerySet

from engine.models.bulk_actions import BulkAction
from engine.models.run_selection import selected_runs
from engine.models.runs import Run
from engine.states import Status
from engine.types import RunFilter


def filter_of(action: BulkAction) -> RunFilter:
    return RunFilter(
        since=action.since,
        until=action.until,
        statuses=tuple(map(Status, action.statuses)),
        workflow_ids=tuple(action.workflow_ids),
        additional_metadata=tuple(zip(action.metadata_keys, action.metadata_values, strict=True)),
        needs_every_pair=action.needs_every_pair,
        error_group_id=action.error_group_id,
    )


def remaining_runs(action: BulkAction) -> QuerySet[Run]:
    """The runs that are selected now and come after what it has done with, in its order."""
    found = selected_runs(action.tenant_id, filter_of(action))
    if action.cursor is not None:
        found = found.filter(id__lt=action.cursor)
    return found.order_by("-id")
