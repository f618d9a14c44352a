"""Read querysets over the parts of a run: tasks, event log, log lines, children, payload heads."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    Case,
    Count,
    OuterRef,
    QuerySet,
    Subquery,
    Value,
    When,
    Window,
)
from django.db.models.functions import JSONObject, Left

from engine.domain.endings import END_WORDS
from engine.models.cluster import Worker
from engine.models.definitions import Step, Workflow, WorkflowVersion
from engine.models.run_queries import lean_runs
from engine.models.runs import LogLine, Payload, Run, Task, TaskEvent
from engine.models.wide_columns import payload_head, payload_length, with_small
from engine.states import PayloadKind, Status

_SAID_OF_ENDS = 300
"""How many characters of a message; the whole one is in the log."""


def lean_tasks() -> QuerySet[Task]:
    """Tasks without the texts that only the scheduler reads, which may be long."""
    return Task.objects.defer("desired_labels", "concurrency_keys")


def payload(owner_id: UUID | OuterRef, kind: PayloadKind) -> QuerySet[Payload]:
    """The newest payload of a kind: of a run (input), of a task (output, error)."""
    return Payload.objects.filter(owner_id=owner_id, kind=kind).order_by("-attempt")


def _head(payloads: QuerySet[Payload], size: int) -> Subquery:
    return Subquery(payloads.annotate(head=payload_head(size)).values("head")[:1])


def _length(payloads: QuerySet[Payload]) -> Subquery:
    return Subquery(payloads.annotate(length=payload_length()).values("length")[:1])


def with_definition(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Annotate `definition`, the canonical definition of the run's workflow version."""
    definitions = WorkflowVersion.objects.filter(id=OuterRef("version_id")).values("definition")[:1]
    return runs.annotate(definition=Subquery(definitions))


def with_input_head(runs: QuerySet[Run], size: int) -> QuerySet[Run]:
    """Annotate `input_head`, the first `size` bytes of the input or what is stored, and `input_length`."""
    of_run = payload(OuterRef("id"), PayloadKind.INPUT)
    return runs.annotate(input_head=_head(of_run, size), input_length=_length(of_run))


class PastEvent(NamedTuple):
    """A row of the event log without its message, but for what is said of an attempt's end."""

    task_id: UUID
    retry_count: int
    kind: int
    at: datetime
    worker_id: UUID | None
    said: str


def with_history(runs: QuerySet[Run], most: int) -> QuerySet[Run]:
    """Annotate `history`, the newest `most` rows of the run's event log, for `past_events`."""
    events = TaskEvent.objects.filter(run_id=OuterRef("id")).order_by("-id")
    said = Case(
        When(kind__in=[int(kind) for kind in END_WORDS], then=Left("message", _SAID_OF_ENDS)),
        default=Value(""),
    )
    row = JSONObject(
        task="task_id", retry="retry_count", kind="kind", at="at", worker="worker_id", said=said
    )
    return runs.annotate(history=ArraySubquery(events.annotate(row=row).values("row")[:most]))


def past_events(run: Run) -> list[PastEvent]:
    """Return what `with_history` read, newest first."""
    return [
        PastEvent(
            UUID(row["task"]),
            row["retry"],
            row["kind"],
            datetime.fromisoformat(row["at"]),
            UUID(row["worker"]) if row["worker"] else None,
            row["said"],
        )
        for row in getattr(run, "history", [])
    ]


def tasks_of_run(run_id: UUID) -> QuerySet[Task]:
    """A run's tasks in step order, with `readable_id`, `step_kind` and `worker_name`."""
    step = Step.objects.filter(id=OuterRef("step_id"))
    worker = Worker.objects.filter(id=OuterRef("worker_id"))
    return (
        lean_tasks()
        .filter(run_id=run_id)
        .annotate(
            readable_id=Subquery(step.values("readable_id")[:1]),
            step_kind=Subquery(step.values("kind")[:1]),
            ordinal=Subquery(step.values("ordinal")[:1]),
            worker_name=Subquery(worker.values("name")[:1]),
        )
        .order_by("ordinal", "id")
    )


def with_outcome_heads(tasks: QuerySet[Task], size: int) -> QuerySet[Task]:
    """Annotate the heads and lengths of each task's output and error."""
    output = payload(OuterRef("id"), PayloadKind.OUTPUT)
    error = payload(OuterRef("id"), PayloadKind.ERROR)
    return tasks.annotate(
        output_head=_head(output, size),
        output_length=_length(output),
        error_head=_head(error, size),
        error_length=_length(error),
    )


def with_error_heads(tasks: QuerySet[Task], size: int) -> QuerySet[Task]:
    """Annotate only the heads and lengths of each task's error."""
    error = payload(OuterRef("id"), PayloadKind.ERROR)
    return tasks.annotate(error_head=_head(error, size), error_length=_length(error))


def event_log(run_id: UUID, *, error_size: int) -> QuerySet[TaskEvent]:
    """A run's event log, newest first, with `worker_name`, and the head of that attempt's error.

    `said` is the first `error_size` characters of the event's message.
    """
    worker = Worker.objects.filter(id=OuterRef("worker_id"))
    error = Payload.objects.filter(
        owner_id=OuterRef("task_id"), kind=PayloadKind.ERROR, attempt=OuterRef("retry_count")
    )
    return (
        TaskEvent.objects.filter(run_id=run_id)
        .annotate(
            worker_name=Subquery(worker.values("name")[:1]),
            error_head=_head(error, error_size),
            said=Left("message", error_size),
        )
        .defer("message")
        .order_by("-id")
    )


def log_lines(run_id: UUID, *, most_metadata: int) -> QuerySet[LogLine]:
    """A run's log lines, oldest first; two equal lines are two lines. Metadata only where it is small."""
    return with_small(log_texts(run_id), "metadata", most_metadata)


def log_texts(run_id: UUID) -> QuerySet[LogLine]:
    return LogLine.objects.filter(run_id=run_id).order_by("id")


def children_of_run(tenant_id: UUID, task_ids: list[UUID]) -> QuerySet[Run]:
    """Runs that these tasks spawned: failed ones first, then those still at work, the oldest first.

    Annotate how many there are `of_all` and `of_status`, the child's own, and of standalone ones how many
    `grandchildren` they have.
    """
    spawned = Run.objects.filter(parent_task_id=OuterRef("id"), tenant_id=tenant_id).order_by()
    number = spawned.values("parent_task_id").annotate(number=Count("id")).values("number")
    rank = Case(
        When(status=Status.FAILED, then=0), When(status__lt=Status.COMPLETED, then=1), default=2
    )
    return (
        lean_runs()
        .filter(tenant_id=tenant_id, parent_task_id__in=task_ids)
        .annotate(
            of_all=Window(Count("id")),
            of_status=Window(Count("id"), partition_by=["status"]),
            grandchildren=Subquery(number),
        )
        .order_by(rank, "id")
    )


class RunningStep(NamedTuple):
    """How many tasks of one step hold slots of one worker."""

    worker_id: UUID
    version_id: UUID
    readable_id: str
    number: int


def running_steps(worker_ids: list[UUID]) -> list[RunningStep]:
    """What holds slots on these workers, in one query."""
    step = Step.objects.filter(id=OuterRef("step_id"))
    rows = (
        Task.objects.filter(status=Status.RUNNING, worker_id__in=worker_ids, is_slot_released=False)
        .annotate(readable_id=Subquery(step.values("readable_id")[:1]))
        .values_list("worker_id", "version_id", "readable_id")
        .annotate(number=Count("id"))
        .order_by()
    )
    return [RunningStep(*row) for row in rows]


def running_on(worker_id: UUID) -> QuerySet[Task]:
    """The tasks a worker is busy with, the oldest first, with `readable_id` and `workflow_name`."""
    step = Step.objects.filter(id=OuterRef("step_id"))
    workflow = Workflow.objects.filter(id=OuterRef("workflow_id"))
    return (
        lean_tasks()
        .filter(status=Status.RUNNING, worker_id=worker_id)
        .annotate(
            readable_id=Subquery(step.values("readable_id")[:1]),
            workflow_name=Subquery(workflow.values("name")[:1]),
        )
        .order_by("id")
    )
