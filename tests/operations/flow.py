"""Runs moved on by operations alone: what a worker would do is said by the test, and time is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import orjson

from engine.domain.assignment import ReadyTask
from engine.domain.definition import RegisteredVersion, StepDefinition, WorkflowDefinition
from engine.ids import new_id
from engine.operations.assign_tasks import assign_tasks
from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.parts.versions import load_versions
from engine.operations.push_events import push_events
from engine.operations.put_workflow import put_workflow
from engine.operations.read_runs import load_run_details
from engine.operations.replay_tasks import replay_tasks
from engine.operations.report_tasks import report_tasks
from engine.operations.satisfy_waits import expire_sleeps
from engine.operations.trigger_runs import trigger_runs
from engine.states import Status
from engine.store import sync_db
from engine.store.changes import Changes
from engine.store.query import Operation
from engine.types import (
    Action,
    EventInput,
    EventRecord,
    ReportKind,
    RunDetails,
    TaskReport,
    TriggerRequest,
)
from tenants.models import Tenant
from tests.changes import changing

Result = TypeVar("Result")


class Flow:
    """One workflow of one tenant, its scheduler's queue, and a clock that the test moves."""

    def __init__(self, *steps: StepDefinition, name: str = "flow") -> None:
        self.tenant_id = UUID(str(Tenant.objects.create(name="Flow", slug=f"flow-{new_id()}").pk))
        self.now = datetime.now(UTC)
        self.worker_id = new_id()
        self.queue: dict[str, ReadyTask] = {}
        self.running: dict[str, Action] = {}
        self.finished: dict[UUID, Status] = {}
        self.version = self.put(WorkflowDefinition(name, steps))

    def put(self, definition: WorkflowDefinition) -> RegisteredVersion:
        put = sync_db.run(put_workflow(self.tenant_id, definition, self.now))
        return sync_db.run(load_versions([put.version_id]))[put.version_id]

    def trigger(self, given: bytes = b"{}") -> UUID:
        request = TriggerRequest(self.version.definition.name, given)
        (run_id,) = self.do(trigger_runs(self.tenant_id, [request], self.now))
        return run_id

    def start(self, name: str) -> dict[str, Any]:
        """Assign the queued task of this step; return the payload its worker gets."""
        decision = (self.queue.pop(name), self.worker_id)
        ((_, action),) = sync_db.run(assign_tasks([decision], {}, self.now))
        self.running[name] = action
        payload: dict[str, Any] = orjson.loads(action.payload)
        return payload

    def end(self, name: str, kind: ReportKind = ReportKind.COMPLETED, **output: Any) -> None:
        """Report the running task of this step as ended."""
        action = self.running.pop(name)
        payload = orjson.dumps(output) if kind is ReportKind.COMPLETED else b"broken"
        report = TaskReport(self.tenant_id, action.task_id, kind, action.retry_count, payload, True)
        self.do(report_tasks([report], self.now))

    def run(self, name: str, **output: Any) -> dict[str, Any]:
        payload = self.start(name)
        self.end(name, **output)
        return payload

    def push(self, *keys: str, **payload: Any) -> list[EventRecord]:
        events = [EventInput(key, orjson.dumps(payload)) for key in keys]
        return self.do(push_events(self.tenant_id, events, self.now))

    def sleep(self, seconds: float) -> None:
        """Let time pass and the clock tick."""
        self.now += timedelta(seconds=seconds)
        self.do(expire_sleeps([self.tenant_id], self.now))

    def cancel(self, external_id: UUID) -> None:
        self.do(cancel_tasks(self.tenant_id, [external_id], self.now))

    def replay(self, external_id: UUID) -> None:
        self.finished.clear()
        self.do(replay_tasks(self.tenant_id, [external_id], self.now))

    def details(self, run_id: UUID) -> RunDetails:
        details = sync_db.run(load_run_details(self.tenant_id, run_id))
        assert details is not None
        return details

    def outcomes(self, run_id: UUID) -> dict[str, Status]:
        """The tasks of a run that clients see."""
        return {task.readable_id: task.status for task in self.details(run_id).tasks}

    def do(self, operation: Operation[Result]) -> Result:
        result, changes = changing(operation)
        self._apply(changes)
        return result

    def _apply(self, changes: Changes) -> None:
        names = {step.id: step.definition.readable_id for step in self.version.steps}
        for _, task in changes.ready:
            self.queue[names[task.step_id]] = task
        for run in changes.finished:
            self.finished[run.run_id] = run.status
