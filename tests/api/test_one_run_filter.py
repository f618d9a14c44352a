"""The same filter means the same runs: to gRPC, to REST's lists and bulk actions, and to the dashboard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from google.protobuf.timestamp_pb2 import Timestamp

from dashboard.run_filters import parse_run_filters
from engine.api.run_actions import RunFilterBody
from engine.domain.clock_skew import CLOCK_SKEW
from engine.models import Run, Task
from engine.operations.choose_runs import matching_runs
from engine.pb.v1 import workflows_pb2 as pb
from engine.rpc.admin import parse_run_filter
from engine.states import Status
from engine.store import sync_db
from engine.types import RunFilter
from tenants.rest.accepted import accept
from tenants.rest.params import Body
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, start_run
from tests.cast import Cast

MICROSECOND = timedelta(microseconds=1)
METADATA: list[dict[str, object] | None] = [
    {"team": "a", "n": 5},
    {"team": "b", "on": True},
    {"team": "a", "on": True, "url": "http://x:1"},
    {"n": None, "deep": {"team": "a"}, "list": ["a"]},
    {"": "blank", "team": ""},
    None,
]


@dataclass(frozen=True)
class World:
    """Runs of two workflows, one a microsecond after the other, the oldest first."""

    cast: Cast
    api: ApiClient
    runs: list[Run]

    def at(self, number: int) -> datetime:
        return self.runs[number].created_at

    def by_grpc(self, wanted: RunFilter) -> list[int]:
        pairs = [f"{key}:{value}" for key, value in wanted.additional_metadata]
        message = pb.TasksFilter(
            statuses=[status.name for status in wanted.statuses],
            since=_stamp(wanted.since),
            until=_stamp(wanted.until),
            workflow_ids=[str(each) for each in wanted.workflow_ids],
            additional_metadata=pairs,
        )
        return self.by_bulk_action(parse_run_filter(message))

    def by_rest_bulk(self, wanted: RunFilter) -> list[int]:
        body = {
            "since": _text(wanted.since),
            "until": _text(wanted.until),
            "statuses": [status.name for status in wanted.statuses],
            "workflowIds": [str(each) for each in wanted.workflow_ids],
            "additionalMetadata": [f"{k}:{v}" for k, v in wanted.additional_metadata],
        }
        return self.by_bulk_action(accept(RunFilterBody, Body(body)).run_filter)

    def by_bulk_action(self, wanted: RunFilter) -> list[int]:
        found = sync_db.run(matching_runs(self.cast.tenant.id, wanted))
        return self._numbers([str(each) for each in found])

    def by_rest_list(self, wanted: RunFilter, *, only_tasks: bool) -> list[int]:
        answer = self.api.get(
            self._path, self.query(wanted) | {"only_tasks": str(only_tasks).lower()}
        )
        return self._numbers([row["workflowRunExternalId"] for row in answer.json["rows"]])

    def by_rest_ids(self, wanted: RunFilter) -> list[int]:
        return self._numbers(self.api.get(f"{self._path}/external-ids", self.query(wanted)).json)

    def by_dashboard(self, wanted: RunFilter) -> list[int]:
        pairs = [("meta", f"{key}:{value}") for key, value in wanted.additional_metadata]
        pairs += [("status", status.name.lower()) for status in wanted.statuses]
        pairs += [("workflow", str(each)) for each in wanted.workflow_ids]
        filters = parse_run_filters(QueryDict(urlencode(pairs)))
        assert not filters.problems
        found = filters.apply(self.cast.tenant.id, wanted.since).order_by("-id")
        return self._numbers([str(run.id) for run in found])

    @property
    def _path(self) -> str:
        return f"/api/v1/stable/tenants/{self.cast.tenant.id}/workflow-runs"

    def query(self, wanted: RunFilter) -> dict[str, Any]:
        asked = {
            "since": _text(wanted.since),
            "until": _text(wanted.until),
            "statuses": [status.name for status in wanted.statuses],
            "workflow_ids": [str(each) for each in wanted.workflow_ids],
            "additional_metadata": [f"{k}:{v}" for k, v in wanted.additional_metadata],
            "additional_metadata_operator": "AND" if wanted.needs_every_pair else "OR",
        }
        return {name: value for name, value in asked.items() if value is not None}

    def _numbers(self, ids: list[str]) -> list[int]:
        order = [str(run.id) for run in self.runs]
        return [order.index(each) for each in ids]


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


@pytest.fixture
def world(cast: Cast, api: ApiClient) -> World:
    for name in ("even", "odd"):
        make_workflow(cast.tenant, name)
    make_workflow(cast.other_tenant, "even")
    start_run(cast.other_tenant, "even", metadata=METADATA[0])
    runs = [
        start_run(cast.tenant, ("even", "odd")[number % 2], metadata=metadata)
        for number, metadata in enumerate(METADATA)
    ]
    first = (datetime.now(UTC) - timedelta(seconds=30)).replace(microsecond=123_455)
    for number, run in enumerate(runs):
        run.created_at = first + number * MICROSECOND
        run.status = Status(number % len(Status))
        run.save(update_fields=["created_at", "status"])
        own = Task.objects.filter(run_id=run.id)
        own.update(created_at=run.created_at, status=run.status)
    return World(cast, api, runs)


def expected(world: World, wanted: RunFilter) -> list[int]:
    """What the filter means, said once more in plain words, the newest first."""

    def reads(metadata: dict[str, object] | None, key: str, value: str) -> bool:
        found = (metadata or {}).get(key)
        text = str(found).lower() if isinstance(found, bool) else str(found)
        return found is not None and text == value

    numbers = []
    for number, (run, metadata) in enumerate(zip(world.runs, METADATA, strict=True)):
        met = [reads(metadata, key, value) for key, value in wanted.additional_metadata]
        if (
            (wanted.since is None or run.created_at >= wanted.since)
            and (wanted.until is None or run.created_at <= wanted.until)
            and (not wanted.statuses or run.status in wanted.statuses)
            and (not wanted.workflow_ids or run.workflow_id in wanted.workflow_ids)
            and (not met or (all(met) if wanted.needs_every_pair else any(met)))
        ):
            numbers.append(number)
    return numbers[::-1]


def filters(world: World) -> list[RunFilter]:
    whole = RunFilter(world.at(0))
    even = (world.runs[0].workflow_id,)
    narrowed = [
        whole,
        replace(whole, since=world.at(2)),
        replace(whole, since=world.at(2) + timedelta(milliseconds=1)),
        replace(whole, until=world.at(3)),
        replace(whole, since=world.at(1), until=world.at(1)),
        replace(whole, since=world.at(4), until=world.at(1)),
        replace(whole, until=datetime.now(UTC) - CLOCK_SKEW / 2),
        replace(whole, since=datetime(1970, 1, 1, tzinfo=UTC)),
        replace(whole, statuses=(Status.QUEUED, Status.FAILED)),
        replace(whole, workflow_ids=even),
        replace(whole, workflow_ids=even, statuses=(Status.COMPLETED,)),
    ]
    for pairs in (
        [("team", "a")],
        [("team", "a"), ("on", "true")],
        [("n", "5"), ("team", "b")],
        [("url", "http://x:1")],
        [("team", "")],
        [("n", ""), ("deep", "a"), ("list", "a")],
        [("missing", "x"), ("team", "a")],
    ):
        for needs_every_pair in (False, True):
            read = replace(whole, additional_metadata=tuple(pairs))
            narrowed += [replace(read, needs_every_pair=needs_every_pair)]
    return narrowed


def test_the_same_filter_selects_the_same_runs_everywhere(world: World) -> None:
    for wanted in filters(world):
        meant = expected(world, wanted)
        found = {
            "bulk action": world.by_bulk_action(wanted),
            "list": world.by_rest_list(wanted, only_tasks=False),
            "list of tasks": world.by_rest_list(wanted, only_tasks=True),
            "ids": world.by_rest_ids(wanted),
        }
        if not wanted.needs_every_pair:
            found |= {"gRPC": world.by_grpc(wanted), "REST": world.by_rest_bulk(wanted)}
        is_one_pair = len(wanted.additional_metadata) < 2
        if wanted.until is None and (wanted.needs_every_pair or is_one_pair):
            found |= {"dashboard": world.by_dashboard(wanted)}
        assert found == dict.fromkeys(found, meant), wanted


def test_metrics_count_the_runs_of_the_list(world: World) -> None:
    """Those that need the rows; the tally was told when the runs were really made."""
    path = f"/api/v1/stable/tenants/{world.cast.tenant.id}/task-metrics"
    needing_rows = [one for one in filters(world) if one.statuses or one.additional_metadata]
    for wanted in needing_rows:
        counts = world.api.get(path, world.query(wanted)).json
        assert sum(row["count"] for row in counts) == len(expected(world, wanted)), wanted


def test_until_now_hides_the_newest_from_nobody(world: World) -> None:
    """A client's now may be before or after ours, so any that is not surely past is none."""
    newest, now = world.runs[-1], datetime.now(UTC)
    newest.created_at = now + timedelta(hours=1)
    newest.save(update_fields=["created_at"])
    wanted = RunFilter(world.at(0), until=now + timedelta(minutes=30))
    every = expected(world, replace(wanted, until=None))
    assert world.by_grpc(wanted) == world.by_rest_bulk(wanted) == every
    assert world.by_rest_list(wanted, only_tasks=False) == world.by_rest_ids(wanted) == every
