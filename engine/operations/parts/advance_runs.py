"""Moves DAG runs on after some of their tasks were settled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from engine.domain import plan_run
from engine.domain.concurrency import NO_KEYS, Keys, run_chain
from engine.domain.definition import RegisteredStep, RegisteredVersion
from engine.domain.plan_run import Evidence, RunPlan, TaskState
from engine.domain.task_keys import keyed_steps
from engine.ids import new_id
from engine.operations.assign_tasks import assign_tasks
from engine.operations.parts.arm_waits import load_evidence, new_waits, waits
from engine.operations.parts.group_keys import keys_from, load_key_data
from engine.operations.parts.start_steps import events_of, new_task, outputs_of
from engine.operations.parts.versions import load_versions, ready_task
from engine.states import RETRY_QUEUE_PRIORITY, PayloadKind, Status
from engine.store import payloads, queues, run_slots, runs, step_waits, task_events, tasks
from engine.store.changes import Changes, FinishedRun
from engine.store.payloads import NewPayload
from engine.store.query import Operation, Query, fetch, fetch_all, place
from engine.store.runs import KeyData, LockedRun
from engine.store.step_waits import NewWait
from engine.store.tasks import NewTask, TaskRow


@dataclass(slots=True)
class _Writes:
    """What advancing runs comes to; `revived` tasks had rows before."""

    created: list[NewTask] = field(default_factory=list)
    revived: list[NewTask] = field(default_factory=list)
    statuses: list[tuple[UUID, Status]] = field(default_factory=list)
    waits: list[NewWait] = field(default_factory=list)
    decided: list[UUID] = field(default_factory=list)
    """Tasks whose waits are over."""
    leaving: list[UUID] = field(default_factory=list)
    """Runs that end and may hold slots of their workflow's concurrency groups."""


def advance_runs(
    locked: Sequence[LockedRun],
    now: datetime,
    *,
    rows: Sequence[TaskRow] | None = None,
) -> Operation[None]:
    """Create what became ready or was decided, and set the runs' statuses. The runs are locked.

    `rows` are all their tasks, which are read otherwise; standalone runs need them given.
    """
    if not locked:
        return
    if rows is None:
        rows = yield from fetch(tasks.of_runs([run.id for run in locked]))
    versions = yield from load_versions(run.version_id for run in locked)
    tasks_of: dict[UUID, list[TaskRow]] = defaultdict(list)
    for row in rows:
        tasks_of[row.run_id].append(row)
    evidence = yield from load_evidence(locked, tasks_of, versions)
    key_data = yield from load_key_data(_in_need_of_keys(locked, versions, tasks_of, evidence))
    writes, changes = _Writes(), Changes()
    for run in locked:
        version, found = versions[run.version_id], tasks_of[run.id]
        known = evidence.get(run.id, plan_run.NO_EVIDENCE)
        keys_of: dict[UUID, Keys] = {}
        plan = _plan(version, states_of(found), known, key_data.get(run.id), keys_of)
        _collect_tasks(run, version, plan, found, writes, keys_of)
        status = plan.run_status
        if status is Status.QUEUED and run.was_started:
            status = Status.RUNNING
        if status != run.status:
            writes.statuses.append((run.id, status))
            if plan.is_finished:
                changes.finished.append(
                    FinishedRun(run.tenant_id, run.id, status, run.wakes_parent)
                )
                if run_chain(version):
                    writes.leaving.append(run.id)
        changes.touched.add((run.tenant_id, run.id))
    yield from _write(writes, now)
    if writes.leaving:
        changes.left += yield from fetch(run_slots.delete(writes.leaving))
    yield changes
    yield from _queue(writes, versions, {row.id: row.retry_count for row in rows}, now)


def _in_need_of_keys(
    locked: Sequence[LockedRun],
    versions: Mapping[UUID, RegisteredVersion],
    tasks_of: Mapping[UUID, Sequence[TaskRow]],
    evidence: Mapping[UUID, Evidence],
) -> dict[UUID, RegisteredVersion]:
    """Return the runs of which a step is to be queued that belongs to concurrency groups."""
    found = {}
    for run in locked:
        version = versions[run.version_id]
        if keyed := keyed_steps(version):
            known = evidence.get(run.id, plan_run.NO_EVIDENCE)
            plan = plan_run.advance(version, states_of(tasks_of.get(run.id, ())), known)
            if any(new.status is Status.QUEUED and new.step.id in keyed for new in plan.create):
                found[run.id] = version
    return found


def _plan(
    version: RegisteredVersion,
    states: Sequence[TaskState],
    known: Evidence,
    data: KeyData | None,
    keys_of: dict[UUID, Keys],
) -> RunPlan:
    """Plan, counting tasks that have no keys for their concurrency groups as failed; collect the keys."""
    plan = plan_run.advance(version, states, known)
    if data is None:
        return plan
    failed: list[plan_run.NewTask] = []
    while True:
        queued = [new for new in plan.create if new.status is Status.QUEUED]
        for new in queued:
            arrival = new_id()
            keys_of[new.step.id] = keys_from(data, version, new.step, arrival=arrival)
        keyless = [new for new in queued if keys_of[new.step.id].error]
        if not keyless:
            return plan._replace(create=(*failed, *plan.create))
        failed += keyless
        states = [
            *states,
            *(TaskState(new.step.id, new.step.id, Status.FAILED, False, 0) for new in keyless),
        ]
        plan = plan_run.advance(version, states, known)


def _collect_tasks(
    run: LockedRun,
    version: RegisteredVersion,
    plan: RunPlan,
    rows: Sequence[TaskRow],
    writes: _Writes,
    keys_of: Mapping[UUID, Keys],
) -> None:
    parked = {row.step_id: row for row in rows if row.is_parked}

    def task_of(
        step: RegisteredStep,
        status: Status = Status.QUEUED,
        *,
        is_skipped: bool = False,
        is_parked: bool = False,
        reason: str = "",
    ) -> NewTask:
        before = parked.get(step.id)
        return new_task(
            run.id,
            version,
            step,
            priority=run.priority,
            task_id=before.id if before else None,
            status=status,
            is_skipped=is_skipped,
            is_parked=is_parked,
            reason=reason,
            desired_worker_id=_desired_worker(version, step, rows, before),
            desired_labels=run.desired_labels,
            keys=NO_KEYS if is_parked else keys_of.get(step.id, NO_KEYS),
        )

    for new in plan.create:
        task = task_of(new.step, new.status, is_skipped=new.is_skipped, reason=new.reason)
        (writes.revived if new.step.id in parked else writes.created).append(task)
        if new.step.id in parked and waits(new.step.definition):
            writes.decided.append(task.id)
    for step in plan.arm:
        task = task_of(step, is_parked=True)
        if step.id not in parked:
            writes.created.append(task)
        writes.waits += new_waits(task, step)


def _desired_worker(
    version: RegisteredVersion,
    step: RegisteredStep,
    rows: Sequence[TaskRow],
    before: TaskRow | None,
) -> UUID | None:
    """Return where a step of a sticky workflow wants to run: where the first parent that ran did.

    A step without parents keeps the worker that its run was started with.
    """
    if version.definition.sticky is None:
        return None
    if not step.definition.parents:
        return before.desired_worker_id if before else None
    worker_of = {row.step_id: row.worker_id for row in rows}
    names = {other.definition.readable_id: other.id for other in version.steps}
    parents = (worker_of.get(names[parent]) for parent in step.definition.parents)
    return next((worker_id for worker_id in parents if worker_id), None)


def states_of(rows: Sequence[TaskRow]) -> list[TaskState]:
    """Return what planning needs of a run's tasks; parked ones do not exist yet."""
    return [
        TaskState(row.step_id, row.id, Status(row.status), row.is_skipped, row.retry_count)
        for row in rows
        if not row.is_parked
    ]


def _write(writes: _Writes, now: datetime) -> Operation[None]:
    retry_counts: dict[UUID, int] = {}
    if writes.revived:
        retry_counts = dict((yield from fetch(tasks.revive(writes.revived, now))))
        if keyed := [(t.id, t.concurrency_keys) for t in writes.revived if t.concurrency_keys]:
            yield from fetch(queues.set_keys(keyed))
    new = [*writes.created, *writes.revived]
    events = [
        event._replace(retry_count=retry_counts.get(event.task_id, 0)) for event in events_of(new)
    ]
    queries: list[Query[Any]] = []
    if writes.created:
        queries.append(tasks.insert(writes.created, now))
    if events:
        queries.append(task_events.insert(events, now))
    if outputs := outputs_of(new):
        queries.append(payloads.insert(_of_attempts(outputs, retry_counts)))
    if writes.statuses:
        queries.append(runs.set_status(writes.statuses, now))
    if writes.waits:
        queries.append(step_waits.insert(writes.waits, now))
    if writes.decided:
        queries.append(step_waits.settle(writes.decided))
    if queries:
        yield from fetch_all(*queries)


def _of_attempts(
    outputs: Sequence[NewPayload], retry_counts: Mapping[UUID, int]
) -> list[NewPayload]:
    """Errors belong to an attempt, outputs to their task."""
    return [
        payload._replace(attempt=retry_counts.get(payload.owner_id, 0))
        if payload.kind is PayloadKind.ERROR
        else payload
        for payload in outputs
    ]


def _queue(
    writes: _Writes,
    versions: Mapping[UUID, RegisteredVersion],
    retry_counts: Mapping[UUID, int],
    now: datetime,
) -> Operation[None]:
    """Hand what was queued to workers with free slots, in this transaction; the rest waits for some."""
    changes = _changes_of(writes, versions, retry_counts)
    places = yield from place(changes.ready)
    if places.worker_of:
        placed = [
            (task, places.worker_of[task.id])
            for _, task in changes.ready
            if task.id in places.worker_of
        ]
        changes.ready = [entry for entry in changes.ready if entry[1].id not in places.worker_of]
        yield from assign_tasks(placed, places.epochs, now, taken=places.taken)
    yield changes


def _changes_of(
    writes: _Writes,
    versions: Mapping[UUID, RegisteredVersion],
    retry_counts: Mapping[UUID, int],
) -> Changes:
    sleeps_of = {wait.tenant_id for wait in writes.waits if wait.sleep_seconds is not None}
    changes = Changes(sleeps_of=sleeps_of, wakes_clock=bool(sleeps_of))
    for task in (*writes.created, *writes.revived):
        if task.is_parked:
            continue
        retry_count = retry_counts.get(task.id, 0)
        if retry_count == 0 and task.run_id != task.id:
            changes.created.append((task.run_id, task.id))
        if task.status is not Status.QUEUED:
            continue
        version = versions[task.version_id]
        priority = task.queue_priority if retry_count == 0 else RETRY_QUEUE_PRIORITY
        ready = ready_task(
            version,
            task.id,
            task.step_id,
            retry_count=retry_count,
            priority=priority,
            desired_worker_id=task.desired_worker_id,
            desired_labels=task.desired_labels,
            concurrency_keys=task.concurrency_keys,
        )
        changes.ready.append((task.tenant_id, ready))
        changes.wakes_clock = True
    return changes
