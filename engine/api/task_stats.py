"""How many tasks wait and run right now, by name, for whoever scales workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.task_groups import GroupCount, group_counts
from engine.api.views import EngineView
from engine.models.task_stat_queries import TaskCount, known_tasks, task_counts
from engine.states import Status
from tenants.rest import in_query
from tenants.rest.accepted import takes_query
from tenants.rest.errors import AnyDict
from tenants.rest.render import timestamp


@dataclass(frozen=True, slots=True)
class WantedTasks:
    """Names, several of which may stand in one text with commas between them."""

    names: list[str] = in_query.texts("taskNames")


@dataclass(slots=True)
class _Found:
    """What there is of one task in one state."""

    counts: list[TaskCount] = field(default_factory=list)
    groups: list[GroupCount] = field(default_factory=list)


class TaskStatsView(EngineView):
    """Queued and running tasks by task name.

    The tasks of all workflows as they are now are listed even when all is quiet, or those that are asked for.
    """

    @takes_query(WantedTasks)
    def get(self, request: Request, given: WantedTasks, **_: Any) -> Response:
        wanted = [name for text in given.names for name in text.split(",") if name]
        found: dict[tuple[str, Status], _Found] = defaultdict(_Found)
        for count in task_counts(self.tenant.id):
            found[count.task_name, count.status].counts.append(count)
        for group in group_counts(self.tenant.id):
            found[group.task_name, group.status].groups.append(group)
        names = wanted or [*known_tasks(self.tenant.id), *(name for name, _ in found)]
        return Response(
            {
                name: {
                    "queued": _stat(found.get((name, Status.QUEUED), _Found())),
                    "running": _stat(found.get((name, Status.RUNNING), _Found())),
                }
                for name in dict.fromkeys(names)
            }
        )


def _stat(found: _Found) -> AnyDict:
    rows = found.counts
    stat: AnyDict = {
        "total": sum(row.number for row in rows),
        "queues": _by_queue(rows),
        "concurrency": _by_group(found.groups),
    }
    if rows:
        stat["oldest"] = timestamp(min(row.oldest for row in rows))
        first_attempts = [row.oldest_first_attempt for row in rows if row.oldest_first_attempt]
        if first_attempts:
            stat["oldestExcludingRetries"] = timestamp(min(first_attempts))
    return stat


def _by_queue(rows: Sequence[TaskCount]) -> dict[str, int]:
    queues: dict[str, int] = defaultdict(int)
    for row in rows:
        queues[row.action_id] += row.number
    return queues


def _by_group(groups: Iterable[GroupCount]) -> list[AnyDict]:
    by_strategy: dict[tuple[str, str], dict[str, int]] = {}
    for group in groups:
        keys = by_strategy.setdefault((group.expression, group.strategy), {})
        keys[group.key] = keys.get(group.key, 0) + group.number
    return [
        {"expression": expression, "type": strategy, "keys": keys}
        for (expression, strategy), keys in by_strategy.items()
    ]
