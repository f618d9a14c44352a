"""A tenant on Django's connection, worked with operations alone; everything rolls back."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Sum

from engine.domain.assignment import ReadyTask
from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.ids import new_id
from engine.models import Payload, Run, RunTally, Task, TaskEvent, Worker
from engine.operations.assign_tasks import assign_tasks
from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.expire_tasks import expire_tasks
from engine.operations.put_workflow import PutWorkflow, put_workflow
from engine.operations.replay_tasks import Replay, replay_tasks
from engine.operations.report_tasks import TaskOf, report_tasks
from engine.operations.trigger_runs import trigger_runs
from engine.states import PayloadKind, Status, StepKind, TaskEventKind
from engine.store import sync_db
from engine.store.changes import Changes
from engine.types import Action, ReportKind, TaskReport, TriggerRequest
from tenants.models import Tenant
from tests.changes import changing

START = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def step(name: str, *parents: str, **options: Any) -> StepDefinition:
    return StepDefinition(name, f"flow:{name}", parents=parents, **options)


def on_failure() -> StepDefinition:
    return StepDefinition("rescue", "flow:rescue", kind=StepKind.ON_FAILURE)


def workflow(*steps: StepDefinition, name: str = "flow", **options: Any) -> WorkflowDefinition:
    return WorkflowDefinition(name, steps or (step("work"),), **options)


class Bench:
    """One tenant and its clock, which only the test moves."""

    def __init__(self) -> None:
        tenant = Tenant.objects.create(name="Bench", slug=f"bench-{new_id()}")
        self.tenant_id = UUID(str(tenant.pk))
        self.now = START
        self.replayed = Replay([], ())
        self.changes = Changes()
        """What the last operation changed."""

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # What clients do

    def put(self, *steps: StepDefinition, **options: Any) -> PutWorkflow:
        definition = workflow(*steps, **options)
        put, self.changes = changing(put_workflow(self.tenant_id, definition, self.now))
        return put

    def trigger(self, *requests: TriggerRequest) -> list[UUID]:
        wanted = requests or (TriggerRequest("flow"),)
        ids, self.changes = changing(trigger_runs(self.tenant_id, wanted, self.now))
        return ids

    def start(self, *steps: StepDefinition, **options: Any) -> UUID:
        """Register a workflow and trigger one run of it."""
        self.put(*steps, **options)
        (run_id,) = self.trigger()
        return run_id

    def cancel(self, *ids: UUID) -> list[UUID]:
        cancelled, self.changes = changing(cancel_tasks(self.tenant_id, ids, self.now))
        return cancelled

    def replay(self, *ids: UUID) -> list[UUID]:
        self.replayed, self.changes = changing(replay_tasks(self.tenant_id, ids, self.now))
        return self.replayed.ids

    # What schedulers, workers and clocks do

    def worker(self) -> UUID:
        worker = Worker.objects.create(
            tenant_id=self.tenant_id,
            name="bench",
            actions=[],
            slots={},
            labels={},
            is_active=True,
            last_heartbeat_at=self.now,
            last_listener_at=self.now,
            created_at=self.now,
            updated_at=self.now,
        )
        return UUID(str(worker.pk))

    def assign(self, *task_ids: UUID, worker_id: UUID | None = None) -> list[Action]:
        """Assign these tasks, or everything that waits, to one worker."""
        chosen = Task.objects.filter(tenant_id=self.tenant_id, status=0, is_delayed=False)
        if task_ids:
            chosen = chosen.filter(id__in=task_ids)
        worker = worker_id or self.worker()
        decisions = [(_ready(task), worker) for task in chosen.order_by("id")]
        return [action for _, action in sync_db.run(assign_tasks(decisions, {}, self.now))]

    def report(self, *reports: TaskReport) -> set[TaskOf]:
        """Return the tasks that nobody knows."""
        unknown, self.changes = changing(report_tasks(reports, self.now))
        return unknown

    def completed(self, task_id: UUID, output: bytes = b'{"n":1}', **options: Any) -> TaskReport:
        return self._told(task_id, ReportKind.COMPLETED, output, **options)

    def failed(self, task_id: UUID, error: bytes = b"boom", **options: Any) -> TaskReport:
        return self._told(task_id, ReportKind.FAILED, error, **options)

    def started(self, task_id: UUID, **options: Any) -> TaskReport:
        return self._told(task_id, ReportKind.STARTED, b"", **options)

    def _told(self, task_id: UUID, kind: ReportKind, payload: bytes, **options: Any) -> TaskReport:
        return TaskReport(self.tenant_id, task_id, kind, payload=payload, **options)

    def expire(self, after_seconds: float = 0.0) -> int:
        self.pass_time(after_seconds)
        count, self.changes = changing(expire_tasks([self.tenant_id], self.now))
        return count

    def run_to_failure(self, task_id: UUID, error: bytes = b"boom") -> None:
        self.assign(task_id)
        self.report(self.failed(task_id, error, should_not_retry=True))

    def run_to_end(self, *task_ids: UUID, output: bytes = b'{"n":1}') -> None:
        for task_id in task_ids:
            self.assign(task_id)
            self.report(self.completed(task_id, output))

    # What is so

    def task(self, task_id: UUID) -> Task:
        return Task.objects.get(id=task_id)

    def run(self, run_id: UUID) -> Run:
        return Run.objects.get(id=run_id)

    def status(self, run_id: UUID) -> Status:
        return Status(self.run(run_id).status)

    def task_status(self, task_id: UUID) -> Status:
        return Status(self.task(task_id).status)

    def steps(self, run_id: UUID) -> dict[str, UUID]:
        """Task ids of a DAG run by the name of their step."""
        return {
            task.action_id.split(":")[1]: task.id
            for task in Task.objects.filter(run_id=run_id).exclude(id=run_id)
        }

    def statuses(self, run_id: UUID) -> dict[str, Status]:
        return {name: self.task_status(task_id) for name, task_id in self.steps(run_id).items()}

    def events(self, task_id: UUID) -> list[tuple[TaskEventKind, int]]:
        """The task's log, oldest first: what happened and to which attempt."""
        rows = TaskEvent.objects.filter(task_id=task_id).order_by("id")
        return [(TaskEventKind(row.kind), row.retry_count) for row in rows]

    def kinds(self, task_id: UUID) -> list[str]:
        return [kind.name for kind, _ in self.events(task_id)]

    def message(self, task_id: UUID, kind: TaskEventKind) -> str:
        return TaskEvent.objects.filter(task_id=task_id, kind=kind).latest("id").message

    def output(self, task_id: UUID) -> bytes | None:
        found = Payload.objects.filter(owner_id=task_id, kind=PayloadKind.OUTPUT).first()
        return bytes(found.data) if found else None

    def error(self, task_id: UUID, attempt: int = 0) -> bytes | None:
        found = Payload.objects.filter(
            owner_id=task_id, kind=PayloadKind.ERROR, attempt=attempt
        ).first()
        return bytes(found.data) if found else None

    def ready(self) -> list[tuple[UUID, int, int]]:
        """What the last operation put into the queue: task, retry count, priority."""
        return [(task.id, task.retry_count, task.priority) for _, task in self.changes.ready]

    def finished(self) -> list[tuple[UUID, Status]]:
        return [(run.run_id, run.status) for run in self.changes.finished]

    def tally(self) -> Counter[Status]:
        """Run counts by status as the tallies say."""
        sums = (
            RunTally.objects.filter(tenant_id=self.tenant_id)
            .values_list("status")
            .annotate(total=Sum("delta"))
        )
        return Counter({Status(status): total for status, total in sums if total})

    def counts(self) -> Counter[Status]:
        """Run counts by status as the rows say."""
        rows = Run.objects.filter(tenant_id=self.tenant_id).values_list("status", flat=True)
        return Counter(Status(status) for status in rows)


def _ready(task: Task) -> ReadyTask:
    return ReadyTask(
        task.id,
        task.retry_count,
        task.action_id,
        task.queue_priority,
        {"default": 1},
        task.version_id,
        task.step_id,
    )
