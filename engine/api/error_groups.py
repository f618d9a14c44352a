"""Groups of failures that are the same: listed, looked at, resolved, muted, opened again, assigned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.models import ErrorGroup
from engine.models.error_queries import (
    Place,
    Share,
    groups_of,
    in_state,
    latest_groups,
    shares,
    state_of,
)
from engine.operations.change_error_groups import assign_error_group, set_error_state
from engine.states import ErrorState
from engine.store import sync_db
from tenants.rest import in_body, in_query
from tenants.rest.accepted import takes_body, takes_query
from tenants.rest.errors import AnyDict, ApiError, bad_request
from tenants.rest.paging import ROWS_AT_A_TIME
from tenants.rest.render import timestamp

SHARES = 100
_WORDS = {state.name: state for state in ErrorState}


@dataclass(frozen=True, slots=True)
class ErrorsAsked:
    states: list[ErrorState] = in_query.members("states", ErrorState)
    workflow_ids: list[UUID] = in_query.uuids("workflow_ids")
    cursor: str | None = in_query.text("cursor")
    limit: int = in_query.whole("limit", 50, minimum=1, maximum=ROWS_AT_A_TIME)


class ErrorListView(EngineView):
    """A page of groups, those that failed last first."""

    @takes_query(ErrorsAsked)
    def get(self, request: Request, asked: ErrorsAsked, **_: Any) -> Response:
        now = datetime.now(UTC)
        groups = groups_of(self.tenant.id)
        if asked.states:
            wanted = in_state(asked.states[0], now)
            for state in asked.states[1:]:
                wanted |= in_state(state, now)
            groups = groups.filter(wanted)
        if asked.workflow_ids:
            groups = groups.filter(workflow_id__in=asked.workflow_ids)
        page, has_more = latest_groups(groups, _place(asked.cursor), asked.limit)
        following = {"nextCursor": _cursor(page[-1])} if has_more else {}
        return Response({"rows": [_row(group, now) for group in page]} | following)


def _cursor(group: ErrorGroup) -> str:
    return f"{group.last_seen_at.isoformat()}_{group.id}"


def _place(cursor: str | None) -> Place | None:
    if not cursor:
        return None
    moment, _, group_id = cursor.partition("_")
    try:
        at = datetime.fromisoformat(moment)
        return Place(at if at.tzinfo else at.replace(tzinfo=UTC), UUID(group_id))
    except ValueError:
        raise bad_request("cursor is not one that this list gave", field="cursor") from None


class _OneErrorView(EngineView):
    path_ids: ClassVar[tuple[str, ...]] = ("tenant", "error")

    def check_resource(self) -> None:
        self._find()

    def _find(self) -> ErrorGroup:
        found = groups_of(self.tenant.id).filter(id=self.ids["error"]).first()
        if found is None:
            raise ApiError(404, "there is no such error")
        return found

    def _details(self) -> Response:
        group = self._find()
        parts = {
            "versions": [_share(one) for one in shares(group.id, "version", SHARES)],
            "workers": [_share(one) for one in shares(group.id, "worker", SHARES)],
        }
        return Response(_row(group, datetime.now(UTC)) | parts)


class ErrorView(_OneErrorView):
    def get(self, request: Request, **_: Any) -> Response:
        return self._details()


@dataclass(frozen=True, slots=True)
class NewState:
    state: ErrorState = in_body.choice("state", _WORDS, is_required=True)
    muted_until: datetime | None = in_body.optional_moment("mutedUntil")

    def __post_init__(self) -> None:
        if self.muted_until is not None and self.state is not ErrorState.MUTED:
            raise bad_request("mutedUntil goes with the state MUTED", field="mutedUntil")


class ErrorStateView(_OneErrorView):
    @takes_body(NewState)
    def post(self, request: Request, new: NewState, **_: Any) -> Response:
        operation = set_error_state(
            self.tenant.id,
            self.ids["error"],
            new.state,
            datetime.now(UTC),
            muted_until=new.muted_until,
        )
        with self.acting.on() as told:
            sync_db.run(operation)
            told.update({"state": new.state.name.lower(), "until": timestamp(new.muted_until)})
        return self._details()


@dataclass(frozen=True, slots=True)
class Assignee:
    """Without a `userId` it is nobody's."""

    user_id: UUID | None = in_body.optional_uuid("userId")


class ErrorAssigneeView(_OneErrorView):
    @takes_body(Assignee)
    def post(self, request: Request, new: Assignee, **_: Any) -> Response:
        operation = assign_error_group(self.tenant.id, self.ids["error"], new.user_id)
        with self.acting.on() as told:
            sync_db.run(operation)
            told["assignee"] = str(new.user_id) if new.user_id else None
        return self._details()


def _row(group: ErrorGroup, now: datetime) -> AnyDict:
    assignee = group.assignee
    return without_nones(
        {
            "id": str(group.id),
            "type": group.type,
            "message": group.message,
            "frame": group.frame,
            "workflowId": str(group.workflow_id),
            "workflowName": getattr(group, "workflow_name", None),
            "actionId": group.action_id,
            "state": state_of(group, now).name,
            "count": group.count,
            "finalCount": group.final_count,
            "firstSeenAt": timestamp(group.first_seen_at),
            "lastSeenAt": timestamp(group.last_seen_at),
            "resolvedAt": timestamp(group.resolved_at),
            "reopenedAt": timestamp(group.reopened_at),
            "mutedUntil": timestamp(group.muted_until),
            "assigneeId": None if assignee is None else str(assignee.id),
            "assigneeEmail": None if assignee is None else assignee.email,
            "latestRunId": str(group.run_id),
            "latestTaskId": str(group.task_id),
            "latestAttempt": group.retry_count + 1,
        }
    )


def _share(share: Share) -> AnyDict:
    return {
        "id": str(share.id),
        "name": share.name,
        "count": share.number,
        "firstSeenAt": timestamp(share.first_hour),
        "lastSeenAt": timestamp(share.last_hour),
    }
