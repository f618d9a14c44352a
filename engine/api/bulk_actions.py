"""Cancelling or replaying whatever a filter selects, however much: looked at first, then started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.run_actions import RunFilterBody
from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.ids import new_id
from engine.models import BulkAction, Run
from engine.models.bulk_queries import filter_of, remaining_runs
from engine.models.names import Names, load_names
from engine.models.run_selection import selected_runs
from engine.operations.change_bulk_actions import (
    stage_bulk_action,
    start_bulk_action,
    stop_bulk_action,
)
from engine.states import BulkKind, BulkState, Status
from engine.store import sync_db
from engine.store.query import Operation
from tenants.rest import in_body
from tenants.rest.accepted import takes_body, takes_query
from tenants.rest.errors import AnyDict, ApiError, bad_request
from tenants.rest.paging import Page, count_up_to
from tenants.rest.render import metadata, timestamp

SAMPLED = 10
MOST_WORKFLOWS, MOST_PAIRS, LONGEST_PAIR = 1_000, 100, 1_000
_WORDS = {kind.name.lower(): kind for kind in BulkKind}


@dataclass(frozen=True, slots=True)
class NewBulkAction:
    kind: BulkKind = in_body.choice("action", _WORDS, is_required=True)
    filter: RunFilterBody = in_body.required_part("filter", RunFilterBody)

    def __post_init__(self) -> None:
        if len(self.filter.workflow_ids) > MOST_WORKFLOWS:
            raise bad_request(f"at most {MOST_WORKFLOWS} workflowIds", field="workflowIds")
        pairs = self.filter.additional_metadata
        if len(pairs) > MOST_PAIRS or any(len(k) + len(v) > LONGEST_PAIR for k, v in pairs):
            raise bad_request(
                f"additionalMetadata may hold {MOST_PAIRS} pairs of {LONGEST_PAIR} characters",
                field="additionalMetadata",
            )


class BulkActionListView(EngineView):
    @takes_query(Page)
    def get(self, request: Request, page: Page, **_: Any) -> Response:
        found = BulkAction.objects.filter(tenant_id=self.tenant.id).order_by("-id")
        rows = [_row(action) for chunk in page.chunks(found) for action in chunk]
        return Response(page.answer(rows, count_up_to(found)))

    @takes_body(NewBulkAction)
    def post(self, request: Request, new: NewBulkAction, **_: Any) -> Response:
        """Count what the filter selects and write down what is to be done; nothing is done yet.

        Runs that are made afterwards are not selected.
        """
        now, tenant_id, action_id = datetime.now(UTC), self.tenant.id, new_id()
        wanted = new.filter.run_filter
        wanted = replace(wanted, until=min(wanted.until or now, now))
        total = selected_runs(tenant_id, wanted).count()
        sync_db.run(stage_bulk_action(tenant_id, action_id, new.kind, wanted, total=total, now=now))
        return Response(_details(BulkAction.objects.get(id=action_id)))


class _OneActionView(EngineView):
    path_ids: ClassVar[tuple[str, ...]] = ("tenant", "action")

    def check_resource(self) -> None:
        self._find()

    def _find(self) -> BulkAction:
        found = BulkAction.objects.filter(tenant_id=self.tenant.id, id=self.ids["action"]).first()
        if found is None:
            raise ApiError(404, "there is no such bulk action")
        return found


class BulkActionView(_OneActionView):
    """How far an action has come."""

    def get(self, request: Request, **_: Any) -> Response:
        return Response(_details(self._find()))


class _ChangeView(_OneActionView):
    change: Callable[[UUID, UUID, datetime], Operation[None]]

    def post(self, request: Request, **_: Any) -> Response:
        sync_db.run(type(self).change(self.tenant.id, self.ids["action"], datetime.now(UTC)))
        return Response(_details(self._find()))


class StartView(_ChangeView):
    """Starts what is staged; what was stopped goes on where it was."""

    change = staticmethod(start_bulk_action)


class StopView(_ChangeView):
    """Stops after the runs that are being worked on; what was done stays."""

    change = staticmethod(stop_bulk_action)


def _row(action: BulkAction) -> AnyDict:
    return without_nones(
        {
            "metadata": metadata(action.id, action.created_at, action.updated_at),
            "action": BulkKind(action.kind).name.lower(),
            "state": BulkState(action.state).name,
            "total": action.total,
            "done": action.done,
            "changed": action.changed,
            "collisions": action.collisions,
            "startedAt": timestamp(action.started_at),
            "finishedAt": timestamp(action.finished_at),
            "error": action.error or None,
        }
    )


def _details(action: BulkAction) -> AnyDict:
    run_filter = filter_of(action)
    is_over = action.finished_at is not None
    sample = [] if is_over else list(remaining_runs(action)[:SAMPLED])
    names = load_names([run.workflow_id for run in sample], [])
    failed = {"errorGroupId": str(action.error_group_id)} if action.error_group_id else {}
    return _row(action) | {
        "filter": failed
        | {
            "since": timestamp(run_filter.since),
            "until": timestamp(run_filter.until),
            "statuses": [status.name for status in run_filter.statuses],
            "workflowIds": [str(identity) for identity in run_filter.workflow_ids],
            "additionalMetadata": [
                f"{key}:{value}" for key, value in run_filter.additional_metadata
            ],
        },
        "sample": [_selected(run, names) for run in sample],
    }


def _selected(run: Run, names: Names) -> AnyDict:
    return {
        "id": str(run.id),
        "displayName": names.run_display_name(run.id, run.workflow_id),
        "status": Status(run.status).name,
    }
