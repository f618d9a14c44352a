"""A tenant to which anything may happen, in any order, and a record of every change of its rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
from django.db import connection

from engine.domain.assignment import ReadyTask
from engine.domain.definition import Concurrency, StepCondition, StepDefinition
from engine.domain.durable.calls import Call, WaitCall
from engine.errors import IdempotencyCollision, InvalidArgument, NotFound
from engine.models import DurableTask, Task, Worker
from engine.operations.assign_tasks import assign_tasks
from engine.operations.cancel_tasks import cancel_superseded, cancel_tasks
from engine.operations.durable.branch_tasks import branch_task
from engine.operations.durable.evict_tasks import Eviction, evict_tasks, restore_tasks
from engine.operations.durable.record_calls import record_calls
from engine.operations.durable.satisfy_entries import expire_durable_sleeps
from engine.operations.expire_tasks import (
    expire_tasks,
    requeue_lost,
    requeue_swallowed,
    requeue_undelivered,
)
from engine.operations.parts.plan_runs import plan_new_run, resolve_names
from engine.operations.pause_workflows import (
    Pause,
    hold_tasks,
    pause_workflow,
    unpause_workflow,
)
from engine.operations.push_events import push_events
from engine.operations.replay_tasks import replay_tasks
from engine.operations.report_tasks import report_tasks
from engine.operations.restart_clocks import restart_clocks
from engine.operations.satisfy_waits import expire_sleeps
from engine.operations.trigger_runs import insert_runs, trigger_runs
from engine.states import ConditionAction, ConditionKind, Status
from engine.store import lost_tasks, sync_db, tasks
from engine.store.query import Operation, Query, fetch
from engine.types import EventInput, ReportKind, TaskReport, TriggerRequest
from tests.operations.bench import Bench, on_failure, step
from tests.operations.durable import event, sleep

MOST_RUNS = 8
EXPECTED = (InvalidArgument, NotFound, IdempotencyCollision)

RECORD_CHANGES = """
CREATE TEMPORARY TABLE changed (number bigserial, name text, before jsonb, after jsonb);
CREATE FUNCTION pg_temp.record_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changed (name, before, after) VALUES (
        TG_ARGV[0],
        CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END,
        CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
    RETURN NULL;
END $$;
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON engine_task
   FOR EACH ROW EXECUTE FUNCTION pg_temp.record_change('task');
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON engine_run
   FOR EACH ROW EXECUTE FUNCTION pg_temp.record_change('run');
"""


class Change(NamedTuple):
    """A row before and after one statement; None where there is none."""

    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def record_changes() -> None:
    """Write down every change of tasks and runs until the transaction is rolled back."""
    with connection.cursor() as cursor:
        cursor.execute(RECORD_CHANGES)


def changes_since() -> list[Change]:
    """Return what changed since this was last asked, in the order in which it did."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM changed RETURNING number, name, before::text, after::text")
        rows = sorted(cursor.fetchall())
    return [
        Change(name, before and orjson.loads(before), after and orjson.loads(after))
        for _, name, before, after in rows
    ]


WAITS = (
    StepCondition(ConditionKind.SLEEP, ConditionAction.QUEUE, 0, "10s", "s", sleep_seconds=10),
    StepCondition(ConditionKind.EVENT, ConditionAction.SKIP, 1, "skip", "e"),
    StepCondition(ConditionKind.EVENT, ConditionAction.CANCEL, 2, "cancel", "e"),
)


KEYED = Concurrency("input.key", 1)
DURABLE: dict[str, Any] = {"is_durable": True, "slots": {"durable": 1}}
WORKFLOWS: dict[str, tuple[StepDefinition, ...]] = {
    "plain": (step("work", retries=1),),
    "backing": (step("work", retries=2, backoff_factor=2.0, backoff_max_seconds=10),),
    "keyed": (step("work", concurrency=(KEYED,), retries=1),),
    "waiting": (step("work", conditions=WAITS, retries=1),),
    "durable": (step("alone", retries=1, **DURABLE),),
    "graph": (
        step("first"),
        step("second", "first", retries=1),
        step("third", "first", conditions=WAITS),
        step("last", "second", "third"),
        on_failure(),
    ),
    "mixed": (
        step("keyed", concurrency=(KEYED,)),
        step("parked", conditions=WAITS, concurrency=(KEYED,)),
        step("durable", "keyed", **DURABLE),
    ),
}
INPUTS = (b'{"key":"a"}', b"{}")


class History:
    """What happens is a `Move` on a task, or one of `ANY_TIME` to nobody in particular."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.tenant_id = self.bench.tenant_id
        self.worker_id = self.bench.worker()
        for name, steps in WORKFLOWS.items():
            self.bench.put(*steps, name=name)

    @property
    def now(self) -> Any:
        return self.bench.now

    def do(self, operation: Operation[Any]) -> Any:
        """Run an operation; what it refuses to do is undone and no error."""
        try:
            return sync_db.run(operation)
        except EXPECTED:
            return None

    def ask(self, query: Query[Any]) -> list[Any]:
        found: list[Any] = self.do(fetch(query))
        return found

    # To nobody in particular

    def trigger(self, name: str, given: bytes) -> None:
        request = TriggerRequest(name, given)
        self.do(trigger_runs(self.tenant_id, [request], self.now))

    def trigger_assigned(self, name: str, given: bytes) -> None:
        """Start a run whose first tasks are a worker's from the start."""

        def insert() -> Operation[None]:
            versions = yield from resolve_names(self.tenant_id, [name])
            planned = plan_new_run(TriggerRequest(name, given), versions[name])
            worker_of = {task.id: self.worker_id for task in planned.tasks if not task.failure}
            yield from insert_runs([planned], self.now, worker_of=worker_of)

        self.do(insert())

    def pass_time(self, seconds: float) -> None:
        self.bench.pass_time(seconds)
        self.do(hold_tasks([self.tenant_id]))
        self.do(expire_sleeps([self.tenant_id], self.now))
        self.do(expire_durable_sleeps([self.tenant_id], self.now))
        self.do(expire_tasks([self.tenant_id], self.now))

    def push(self, key: str) -> None:
        self.do(push_events(self.tenant_id, [EventInput(key, b"{}")], self.now))

    # To a task

    def report(self, task: Task, kind: ReportKind, **options: Any) -> None:
        payload = {ReportKind.COMPLETED: b'{"x":1}', ReportKind.FAILED: b"broken"}.get(kind, b"")
        report = TaskReport(self.tenant_id, task.id, kind, payload=payload, **options)
        self.do(report_tasks([report], self.now))

    def assign(self, task: Task) -> None:
        self.do(assign_tasks([(_ready(task), self.worker_id)], {}, self.now))

    def lose(self, task: Task) -> None:
        workers = [task.worker_id] if task.worker_id else []
        self.do(requeue_lost(workers, self.now + timedelta(seconds=1), self.now))

    def not_deliver(self, task: Task) -> None:
        worker = Worker.objects.filter(id=self.worker_id)
        worker.update(is_active=False)
        self.do(requeue_undelivered([task.id], self.now + timedelta(seconds=1), self.now))
        worker.update(is_active=True)

    def swallow(self, task: Task) -> None:
        since = self.now + timedelta(seconds=60)
        if found := self.ask(lost_tasks.swallowed([task.id], since)):
            self.do(requeue_swallowed(found, self.now))

    def sleep(self, task: Task) -> None:
        self._call(task, WaitCall((sleep("10s"),)))

    def await_event(self, task: Task) -> None:
        self._call(task, WaitCall((event("paid"),)))

    def _call(self, task: Task, body: WaitCall) -> None:
        call = Call(self.tenant_id, task.id, _invocation(task), body)
        self.do(record_calls([call], self.now))

    def evict(self, task: Task) -> None:
        eviction = Eviction(self.tenant_id, task.id, _invocation(task), "waits")
        self.do(evict_tasks([eviction], self.now))

    def pause(self, task: Task) -> None:
        pause = Pause("QUEUE", "QUEUE", 200.0)
        self.do(pause_workflow(self.tenant_id, task.workflow_id, pause, self.now))

    def unpause(self, task: Task) -> None:
        self.do(unpause_workflow(self.tenant_id, task.workflow_id, self.now))

    def refresh(self, task: Task) -> None:
        self.ask(tasks.refresh_timeout(self.tenant_id, task.id, 30.0, "", self.now))

    def postpone(self, task: Task) -> None:
        self.ask(tasks.postpone(task.id, self.now, self.now + timedelta(seconds=30)))


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


def _invocation(task: Task) -> int:
    found = DurableTask.objects.filter(task_id=task.id).first()
    return found.invocation_count if found else 0


class Move(NamedTuple):
    """Something that can happen to a task; it suits some more than others, and must not harm any."""

    name: str
    act: Callable[[History, Task], Any]
    suits: Callable[[Task], bool] = lambda _: True


def _is_queued(task: Task) -> bool:
    return task.status == Status.QUEUED and not task.is_delayed


def _is_running(task: Task) -> bool:
    return task.status == Status.RUNNING


def _is_final(task: Task) -> bool:
    return Status(task.status).is_final


def _is_live(task: Task) -> bool:
    return not _is_final(task)


def _is_durable(task: Task) -> bool:
    return _is_running(task) and task.action_id in DURABLE_ACTIONS


DURABLE_ACTIONS = {
    step.action_id for steps in WORKFLOWS.values() for step in steps if step.is_durable
}

MOVES = (
    Move("assign", History.assign, _is_queued),
    Move("start", lambda h, t: h.report(t, ReportKind.STARTED), _is_running),
    Move("acknowledge", lambda h, t: h.report(t, ReportKind.ACKNOWLEDGED), _is_running),
    Move("complete", lambda h, t: h.report(t, ReportKind.COMPLETED), _is_running),
    Move("fail", lambda h, t: h.report(t, ReportKind.FAILED), _is_running),
    Move(
        "fail for good",
        lambda h, t: h.report(t, ReportKind.FAILED, should_not_retry=True),
        _is_running,
    ),
    Move(
        "fail until later",
        lambda h, t: h.report(t, ReportKind.FAILED, retry_after_ms=5_000),
        _is_running,
    ),
    Move("report cancelled", lambda h, t: h.report(t, ReportKind.CANCELLED), _is_running),
    Move("cancel", lambda h, t: h.do(cancel_tasks(h.tenant_id, [t.id], h.now)), _is_live),
    Move("cancel run", lambda h, t: h.do(cancel_tasks(h.tenant_id, [t.run_id], h.now)), _is_live),
    Move("replay", lambda h, t: h.do(replay_tasks(h.tenant_id, [t.id], h.now)), _is_final),
    Move("replay run", lambda h, t: h.do(replay_tasks(h.tenant_id, [t.run_id], h.now)), _is_final),
    Move(
        "supersede",
        lambda h, t: h.do(cancel_superseded({h.tenant_id: [(t.id, t.retry_count)]}, {}, h.now)),
        _is_queued,
    ),
    Move("lose", History.lose, _is_running),
    Move("not deliver", History.not_deliver, _is_running),
    Move("swallow", History.swallow, _is_running),
    Move(
        "release slot",
        lambda h, t: h.ask(tasks.release_slot(h.tenant_id, t.id, h.now)),
        _is_running,
    ),
    Move("refresh timeout", History.refresh, _is_running),
    Move("restart clock", lambda h, t: h.do(restart_clocks([_ready(t)], h.now)), _is_queued),
    Move("postpone", History.postpone, _is_live),
    Move("sleep", History.sleep, _is_durable),
    Move("await event", History.await_event, _is_durable),
    Move("evict", History.evict, _is_durable),
    Move(
        "restore",
        lambda h, t: h.do(restore_tasks(h.tenant_id, [t.id], h.now)),
        lambda t: t.is_off_worker,
    ),
    Move("reset", lambda h, t: h.do(branch_task(h.tenant_id, t.id, 1, 0, h.now)), _is_durable),
    Move("pause", History.pause, _is_queued),
    Move("unpause", History.unpause, lambda t: t.is_held),
)
