"""Starting, cancelling and replaying runs, by the operations every other entrance uses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.run_details import run_details
from engine.api.run_selection import upper_bound
from engine.api.views import EngineView
from engine.models.run_queries import lean_runs
from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.choose_runs import few_at_a_time, matching_runs
from engine.operations.replay_tasks import Replay, replay_tasks
from engine.operations.trigger_runs import trigger_runs
from engine.states import Status
from engine.store import sync_db
from engine.types import RunFilter, TriggerRequest
from tenants.rest.errors import bad_request
from tenants.rest.params import Body, parse_member, parse_moment, parse_pair, parse_uuid

MOST_IDS = 20_000


class TriggerView(EngineView):
    def post(self, request: Request, **_: Any) -> Response:
        body = self.body
        wanted = TriggerRequest(
            workflow_name=body.text("workflowName"),
            input=body.document("input"),
            additional_metadata=body.metadata("additionalMetadata"),
            priority=body.optional_integer("priority", minimum=1, maximum=3),
        )
        operation = trigger_runs(self.tenant.id, [wanted], datetime.now(UTC))
        run_id = sync_db.run(operation)[0]
        run = lean_runs().get(id=run_id)
        return Response(run_details(run, may_view=self.access.can_view_payloads))


class CancelView(EngineView):
    def post(self, request: Request, **_: Any) -> Response:
        cancelled: list[UUID] = []
        for some in _few_at_a_time(self.tenant.id, self.body):
            operation = cancel_tasks(self.tenant.id, some, datetime.now(UTC))
            cancelled += sync_db.run(operation)
        return Response({"ids": [str(identity) for identity in cancelled]})


class ReplayView(EngineView):
    def post(self, request: Request, **_: Any) -> Response:
        replay = Replay([], ())
        for some in _few_at_a_time(self.tenant.id, self.body):
            operation = replay_tasks(self.tenant.id, some, datetime.now(UTC))
            replay = replay.and_also(sync_db.run(operation))
        if replay.refused and not replay.ids:
            raise replay.collision()
        return Response(_told_of(replay))


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


def _few_at_a_time(tenant_id: UUID, body: Body) -> Iterator[list[UUID]]:
    """The ids of what the body names, in parts that take a transaction each."""
    ids, run_filter = _targets(body)
    if run_filter is not None:
        ids = sync_db.run(matching_runs(tenant_id, run_filter))
    return few_at_a_time(ids)


def _targets(body: Body) -> tuple[list[UUID], RunFilter | None]:
    """Read ids or a filter, never both; neither means that nothing is to be done."""
    given = body.items("externalIds")
    if body.has("filter"):
        if given:
            raise bad_request("give externalIds or filter, not both", field="filter")
        return [], _run_filter(Body(body.mapping("filter")))
    if len(given) > MOST_IDS:
        raise bad_request(f"at most {MOST_IDS} externalIds", field="externalIds")
    ids = [parse_uuid(text, "externalIds") for text in given]
    return ids, None


def _run_filter(body: Body) -> RunFilter:
    if not body.has("since"):
        raise bad_request("filter.since is required", field="since")
    until = parse_moment(body.text("until"), "until") if body.has("until") else None
    pairs = body.items("additionalMetadata")
    return RunFilter(
        since=parse_moment(body.text("since"), "since"),
        until=upper_bound(until),
        statuses=tuple(parse_member(Status, text, "statuses") for text in body.items("statuses")),
        workflow_ids=tuple(parse_uuid(text, "workflowIds") for text in body.items("workflowIds")),
        additional_metadata=tuple(parse_pair(text, "additionalMetadata") for text in pairs),
    )
