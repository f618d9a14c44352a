"""Starting, cancelling and replaying runs, by the operations every other entrance uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.new_runs import details_of_new
from engine.api.requested_run import RequestedRun
from engine.api.run_details import run_details
from engine.api.views import EngineView
from engine.domain.clock_skew import upper_bound
from engine.domain.endings import cancelled_by, token_words
from engine.models.run_queries import lean_runs
from engine.operations.audited import told_of
from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.choose_runs import few_at_a_time, matching_runs
from engine.operations.replay_tasks import Replay, replay_tasks
from engine.operations.trigger_runs import trigger_and_tell
from engine.states import Status
from engine.store import sync_db
from engine.types import RunFilter
from tenants.models import APIToken, TokenScope
from tenants.rest import in_body
from tenants.rest.accepted import part, takes_body
from tenants.rest.errors import ApiError, bad_request
from tenants.token_scopes import refusal

MOST_IDS = 20_000


@dataclass(frozen=True, slots=True)
class NewRun:
    workflow_name: str = in_body.text("workflowName")
    run: RequestedRun = part(RequestedRun)


@dataclass(frozen=True, slots=True)
class RunFilterBody:
    since: datetime = in_body.moment("since")
    until: datetime | None = in_body.optional_moment("until")
    statuses: tuple[Status, ...] = in_body.members("statuses", Status)
    workflow_ids: tuple[UUID, ...] = in_body.uuids("workflowIds")
    additional_metadata: tuple[tuple[str, str], ...] = in_body.pairs("additionalMetadata")
    error_group_id: UUID | None = in_body.optional_uuid("errorGroupId")

    @property
    def run_filter(self) -> RunFilter:
        return RunFilter(
            since=self.since,
            until=upper_bound(self.until, datetime.now(UTC)),
            statuses=self.statuses,
            workflow_ids=self.workflow_ids,
            additional_metadata=self.additional_metadata,
            error_group_id=self.error_group_id,
        )


@dataclass(frozen=True, slots=True)
class Targets:
    """Ids or a filter, never both; neither means that nothing is to be done."""

    filter: RunFilterBody | None = in_body.optional_part("filter", RunFilterBody)
    ids: tuple[UUID, ...] = in_body.uuids("externalIds")

    def __post_init__(self) -> None:
        if self.filter is not None and self.ids:
            raise bad_request("give externalIds or filter, not both", field="filter")
        if len(self.ids) > MOST_IDS:
            raise bad_request(f"at most {MOST_IDS} externalIds", field="externalIds")

    def few_at_a_time(self, tenant_id: UUID) -> Iterator[list[UUID]]:
        """The ids of what is named, in parts that take a transaction each."""
        if self.filter is None:
            return few_at_a_time(self.ids)
        return few_at_a_time(sync_db.run(matching_runs(tenant_id, self.filter.run_filter)))


class TriggerView(EngineView):
    @takes_body(NewRun)
    def post(self, request: Request, new: NewRun, **_: Any) -> Response:
        wanted, now = new.run.of_workflow(new.workflow_name), datetime.now(UTC)
        (run,) = sync_db.run(trigger_and_tell(self.tenant.id, [wanted], now))
        may_view = self.access.can_view_payloads
        if run.planned is not None:
            return Response(details_of_new(run.planned, now, may_view=may_view))
        return Response(run_details(lean_runs().get(id=run.id), may_view=may_view))


class _RunActionView(EngineView):
    def _who(self) -> str:
        user = self.access.user
        if user is not None:
            return user.email
        token_id = self.access.token_id
        token = token_id and APIToken.objects.filter(id=token_id).only("name").first()
        return token_words(token.name if token else "")

    def _tell(self, told: dict[str, Any], done: Sequence[UUID]) -> None:
        """Say in the audit log what was done, if anything was."""
        if done:
            told.update(told_of(done))
        else:
            self.acting.leave_out()


class CancelView(_RunActionView):
    @takes_body(Targets)
    def post(self, request: Request, targets: Targets, **_: Any) -> Response:
        scope = self.access.scope
        if scope is TokenScope.WORKER_ONLY and targets.filter is not None:
            raise ApiError(403, refusal(scope, "v1-task:cancel with a filter"))
        cancelled: list[UUID] = []
        message = cancelled_by(self._who())
        for some in targets.few_at_a_time(self.tenant.id):
            operation = cancel_tasks(self.tenant.id, some, datetime.now(UTC), message=message)
            with self.acting.on(_only_one(some)) as told:
                done = sync_db.run(operation)
                self._tell(told, done)
            cancelled += done
        return Response({"ids": [str(identity) for identity in cancelled]})


class ReplayView(_RunActionView):
    @takes_body(Targets)
    def post(self, request: Request, targets: Targets, **_: Any) -> Response:
        replay = Replay([], ())
        for some in targets.few_at_a_time(self.tenant.id):
            operation = replay_tasks(self.tenant.id, some, datetime.now(UTC))
            with self.acting.on(_only_one(some)) as told:
                done = sync_db.run(operation)
                self._tell(told, done.ids)
            replay = replay.and_also(done)
        if replay.refused and not replay.ids:
            raise replay.collision()
        return Response(_told_of(replay))


def _only_one(ids: Sequence[UUID]) -> object:
    return ids[0] if len(ids) == 1 else None


def _told_of(replay: Replay) -> dict[str, Any]:
    """What was replayed; and, if others hold the keys of some, which were not."""
    answer: dict[str, Any] = {"ids": [str(identity) for identity in replay.ids]}
    if replay.refused:
        answer["collisions"] = [
            {
                "existingRunExternalId": str(one.existing),
                "collidingRunExternalId": str(one.colliding),
            }
            for one in replay.refused
        ]
    return answer
