"""How long runs wait and take, by workflow and version, from what was counted by the minute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.domain.histogram import percentiles
from engine.models.names import load_names
from engine.states import Timed
from engine.store import figures, sync_db
from engine.store.figures import Timing
from tenants.rest import in_query
from tenants.rest.accepted import takes_query
from tenants.rest.errors import AnyDict, bad_request
from tenants.rest.render import timestamp

MOST_VERSIONS = 1_000
MOST_WORKFLOWS = 1_000
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_DAY, _LONGEST = timedelta(days=1), timedelta(days=31)
_PERCENTILES = {"p50Ms": 0.5, "p95Ms": 0.95, "p99Ms": 0.99}
_NAMES = {Timed.QUEUE: "queue", Timed.RUN: "run"}


@dataclass(frozen=True, slots=True)
class TimedSpan:
    """Without bounds the last day."""

    since: datetime | None = in_query.moment("since")
    until: datetime | None = in_query.moment("until")
    workflow_ids: list[UUID] = in_query.uuids("workflow_ids")


class WorkflowTimingsView(EngineView):
    """Percentiles of times in the queue and of runs; by the minute for a day, then by the hour for 30 days.

    Percentiles are at most 5 % off. What happened is counted some 20 seconds later: up to `countedUntil`.
    """

    @takes_query(TimedSpan)
    def get(self, request: Request, asked: TimedSpan, **_: Any) -> Response:
        since, until = _bounds(asked)
        rows = sync_db.read(
            figures.timings(
                self.tenant.id, since, until, asked.workflow_ids, len(Timed) * MOST_VERSIONS
            )
        )
        counted_until = next(iter(sync_db.read(figures.position())), None)
        return Response(
            without_nones(
                {
                    "since": timestamp(since),
                    "until": timestamp(until),
                    "countedUntil": timestamp(counted_until),
                    "rows": _shapes(rows),
                }
            )
        )


def _bounds(asked: TimedSpan) -> tuple[datetime, datetime]:
    """From the beginning of a minute; `until` is not in it."""
    if len(asked.workflow_ids) > MOST_WORKFLOWS:
        raise bad_request(f"at most {MOST_WORKFLOWS} workflow_ids", field="workflow_ids")
    until = asked.until or datetime.now(UTC)
    if until < _EARLIEST:
        raise bad_request("until is before anything was counted", field="until")
    since = asked.since or until - _DAY
    if since >= until:
        raise bad_request("since is not before until", field="since")
    if until - since > _LONGEST:
        raise bad_request("since and until are at most 31 days apart", field="since")
    return since.replace(second=0, microsecond=0), until


def _shapes(rows: Iterable[Timing]) -> list[AnyDict]:
    by_version: dict[tuple[UUID, UUID], AnyDict] = {}
    for row in rows:
        told = by_version.setdefault((row.workflow_id, row.version_id), {})
        told[_NAMES[Timed(row.timed)]] = _shape(row)
    names = load_names({workflow_id for workflow_id, _ in by_version}, []).workflows
    return [
        without_nones(
            {
                "workflowId": str(workflow_id),
                "workflowName": names.get(workflow_id),
                "workflowVersionId": str(version_id),
                **told,
            }
        )
        for (workflow_id, version_id), told in by_version.items()
    ]


def _shape(row: Timing) -> AnyDict:
    number = sum(row.counts)
    found = percentiles(
        dict(zip(row.buckets, row.counts, strict=True)), list(_PERCENTILES.values())
    )
    return {
        "count": number,
        "meanMs": _ms(row.total_seconds / number),
        **{name: _ms(seconds) for name, seconds in zip(_PERCENTILES, found, strict=True)},
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
