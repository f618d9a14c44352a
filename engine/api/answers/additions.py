"""What endpoints answer that stand beside the public API's contract."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict
from uuid import UUID

from engine.api.answers.runs import V1TaskSummary
from engine.states import BulkState, ErrorState, OutboxKind, Status
from tenants.rest.paging import PaginationResponse
from tenants.rest.render import APIResourceMeta


class RunPage(TypedDict):
    """`nextCursor` is where the next page begins; without it this is the last one."""

    rows: list[V1TaskSummary]
    nextCursor: NotRequired[UUID]


class RunTreeNode(TypedDict):
    """`childCounts` are all runs that its tasks spawned, by status; it is left out where nobody counted.

    `omittedChildren` of them are not among `children`.
    """

    id: UUID
    displayName: str
    workflowId: UUID
    workflowName: NotRequired[str]
    type: Literal["DAG", "TASK"]
    status: Status
    createdAt: datetime
    startedAt: NotRequired[datetime]
    finishedAt: NotRequired[datetime]
    duration: NotRequired[int]
    parentTaskExternalId: NotRequired[UUID]
    childCounts: NotRequired[dict[str, int]]
    omittedChildren: NotRequired[int]
    children: list[RunTreeNode]


class RunTree(TypedDict):
    """`isComplete`: nothing of the tree is left out."""

    root: RunTreeNode
    nodes: int
    isComplete: bool


class Times(TypedDict):
    """Of `count` of them, in milliseconds."""

    count: int
    meanMs: float
    p50Ms: float
    p95Ms: float
    p99Ms: float


class VersionTimes(TypedDict):
    """`queue`: how long attempts waited for a worker. `run`: how long runs took that were started and ended."""

    workflowId: UUID
    workflowName: NotRequired[str]
    workflowVersionId: UUID
    queue: NotRequired[Times]
    run: NotRequired[Times]


class WorkflowTimings(TypedDict):
    """`countedUntil`: what happened later is not in it yet."""

    since: datetime
    until: datetime
    countedUntil: NotRequired[datetime]
    rows: list[VersionTimes]


BulkActionWord = Literal["cancel", "replay"]


class BulkActionRow(TypedDict):
    """`done` of the `total` runs that were counted at first were come to, newest first.

    `changed`: of cancellations the runs, of replays the tasks. `collisions`: runs that stayed as they were
    because others hold their idempotency keys.
    """

    metadata: APIResourceMeta
    action: BulkActionWord
    state: BulkState
    total: int
    done: int
    changed: int
    collisions: int
    startedAt: NotRequired[datetime]
    finishedAt: NotRequired[datetime]
    error: NotRequired[str]


class BulkActionFilter(TypedDict):
    since: datetime
    until: datetime
    statuses: list[Status]
    workflowIds: list[UUID]
    additionalMetadata: list[str]
    errorGroupId: NotRequired[UUID]


class SelectedRun(TypedDict):
    id: UUID
    displayName: str
    status: Status


class BulkAction(BulkActionRow):
    """`sample` are the first of the runs it has still to come to."""

    filter: BulkActionFilter
    sample: list[SelectedRun]


class BulkActionList(TypedDict):
    pagination: PaginationResponse
    rows: list[BulkActionRow]


class OutboxEntry(TypedDict):
    """What a program asked for in SQL, as the database's `role`, and why it could not be carried out.

    `id` is that of the run, event or schedule to be; `name` its workflow or key.
    """

    id: UUID
    kind: OutboxKind
    name: NotRequired[str]
    targetId: NotRequired[UUID]
    role: str
    createdAt: datetime
    failedAt: datetime
    failure: str


class OutboxList(TypedDict):
    pagination: PaginationResponse
    rows: list[OutboxEntry]


class RetentionRow(TypedDict):
    """`period` holds; `isDefault`: because nothing else was chosen."""

    kind: str
    period: str
    default: str
    isDefault: bool


class Retention(TypedDict):
    """`isEnabled`: whether anything is removed at all on this server."""

    isEnabled: bool
    rows: list[RetentionRow]


class ErrorRow(TypedDict):
    """Failures that are the same. `message` is without what changes: numbers, ids, addresses, paths.

    `count` are attempts, `finalCount` those that no retry followed. `latest…` name the last of them.
    """

    id: UUID
    type: str
    message: str
    frame: str
    workflowId: UUID
    workflowName: NotRequired[str]
    actionId: str
    state: ErrorState
    count: int
    finalCount: int
    firstSeenAt: datetime
    lastSeenAt: datetime
    resolvedAt: NotRequired[datetime]
    reopenedAt: NotRequired[datetime]
    mutedUntil: NotRequired[datetime]
    assigneeId: NotRequired[UUID]
    assigneeEmail: NotRequired[str]
    latestRunId: UUID
    latestTaskId: UUID
    latestAttempt: int


class ErrorPage(TypedDict):
    """`nextCursor` is where the next page begins; without it this is the last one."""

    rows: list[ErrorRow]
    nextCursor: NotRequired[str]


class ErrorShare(TypedDict):
    """What part of the failures a version or worker has, by whole hours. `name` is empty if it is gone."""

    id: UUID
    name: str
    count: int
    firstSeenAt: datetime
    lastSeenAt: datetime


class Error(ErrorRow):
    """Those of the most failures first."""

    versions: list[ErrorShare]
    workers: list[ErrorShare]
