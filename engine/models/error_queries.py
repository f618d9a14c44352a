"""Reads of groups of failures: which, how many, since when, from which versions and workers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Count, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum

from engine.ids import id_at
from engine.models.cluster import Worker
from engine.models.definitions import Workflow, WorkflowVersion
from engine.models.error_groups import ErrorGroup, ErrorTally, FailedAttempt
from engine.states import ErrorState


def groups_of(tenant_id: UUID) -> QuerySet[ErrorGroup]:
    """A tenant's groups with `workflow_name`, without their digests."""
    names = Workflow.objects.filter(id=OuterRef("workflow_id")).values("name")[:1]
    return (
        ErrorGroup.objects.filter(tenant_id=tenant_id)
        .annotate(workflow_name=Subquery(names))
        .select_related("assignee")
        .defer("digest")
    )


def in_state(state: ErrorState, now: datetime) -> Q:
    """Groups that are in this state now: one whose muting is over is open."""
    unmuted = Q(state=ErrorState.MUTED, muted_until__lte=now)
    if state is ErrorState.OPEN:
        return Q(state=ErrorState.OPEN) | unmuted
    return Q(state=state) & ~unmuted if state is ErrorState.MUTED else Q(state=state)


def state_of(group: ErrorGroup, now: datetime) -> ErrorState:
    state = ErrorState(group.state)
    is_over = group.muted_until is not None and group.muted_until <= now
    return ErrorState.OPEN if state is ErrorState.MUTED and is_over else state


def number_by_state(tenant_id: UUID, now: datetime, workflow_id: UUID | None) -> dict[str, int]:
    """How many groups a tenant, or one of its workflows, has in each state, by its lower-case name."""
    groups = ErrorGroup.objects.filter(tenant_id=tenant_id)
    if workflow_id is not None:
        groups = groups.filter(workflow_id=workflow_id)
    wanted = {s.name.lower(): Count("id", filter=in_state(s, now)) for s in ErrorState}
    counts: dict[str, int] = groups.aggregate(**wanted)
    return counts


class Place(NamedTuple):
    """Where a page of groups ends."""

    last_seen_at: datetime
    id: UUID


def latest_groups(
    groups: QuerySet[ErrorGroup], before: Place | None, size: int
) -> tuple[list[ErrorGroup], bool]:
    """Return those that failed last, or last before a place, and whether there are more."""
    if before is not None:
        same = Q(last_seen_at=before.last_seen_at, id__lt=before.id)
        groups = groups.filter(Q(last_seen_at__lt=before.last_seen_at) | same)
    page = list(groups.order_by("-last_seen_at", "-id")[: size + 1])
    return page[:size], len(page) > size


def hourly(group_ids: Collection[UUID], since: datetime) -> dict[UUID, dict[datetime, int]]:
    """How many failures each of these groups had in each hour."""
    rows = ErrorTally.objects.filter(group_id__in=group_ids, hour__gte=since).order_by()
    found: dict[UUID, dict[datetime, int]] = {group_id: {} for group_id in group_ids}
    for group_id, hour, number in rows.values_list("group_id", "hour").annotate(n=Sum("count")):
        found[group_id][hour] = number
    return found


class Share(NamedTuple):
    """What part of a group's failures came from one version or worker; `name` is empty if it is gone."""

    id: UUID
    name: str
    number: int
    first_hour: datetime
    last_hour: datetime


def shares(group_id: UUID, of: str, most: int) -> list[Share]:
    """Failures `of` each `version` or `worker`, those of the most first."""
    column = f"{of}_id"
    rows = (
        ErrorTally.objects.filter(group_id=group_id)
        .order_by()
        .values_list(column)
        .annotate(number=Sum("count"), first=Min("hour"), last=Max("hour"))
        .order_by("-number", column)[:most]
    )
    found = list(rows)
    names = _names(of, [row[0] for row in found])
    return [Share(row[0], names.get(row[0], ""), *row[1:]) for row in found]


def _names(of: str, ids: Sequence[UUID]) -> dict[UUID, str]:
    if of == "worker":
        return dict(Worker.objects.filter(id__in=ids).values_list("id", "name"))
    versions = WorkflowVersion.objects.filter(id__in=ids).values_list("id", "order")
    return {version_id: f"version {order}" for version_id, order in versions}


def failed_runs(group_id: UUID, most: int) -> list[UUID]:
    """The newest runs in which an attempt failed in this way."""
    rows = FailedAttempt.objects.filter(group_id=group_id).order_by("-run_id")
    return list(rows.values_list("run_id", flat=True).distinct()[:most])


def failures_since(tenant_id: UUID, since: datetime) -> QuerySet[FailedAttempt]:
    """Failures of a tenant, counted into groups or not yet."""
    return FailedAttempt.objects.filter(tenant_id=tenant_id, id__gte=id_at(since))
