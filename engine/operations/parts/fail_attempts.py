"""Ends running attempts that failed, for whatever reason, and decides what follows: retry or failure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from engine.domain.backoff import retry_delay_seconds
from engine.domain.definition import RegisteredVersion, StepDefinition
from engine.domain.endings import OUT_OF_REASSIGNMENTS
from engine.domain.fingerprints import fingerprint_of
from engine.operations.parts.versions import load_versions, ready_task, step_of
from engine.states import RETRY_QUEUE_PRIORITY, PayloadKind, Status, TaskEventKind
from engine.store import error_groups, payloads, task_events, tasks
from engine.store.changes import AttemptEnd, Changes, FinishedRun
from engine.store.error_groups import Failed
from engine.store.payloads import NewPayload
from engine.store.query import Operation, Query, fetch, fetch_all
from engine.store.task_events import NewTaskEvent
from engine.store.tasks import Requeue, Settled, TaskRow

MAX_INTERNAL_RETRIES = 10
_LONGEST_DELIVERY_DELAY_SECONDS = 5.0


class Failure(NamedTuple):
    """Why one attempt ended. `kind` is FAILED, TIMED_OUT or REASSIGNED.

    An internal failure (lost worker, undeliverable) is not the task's fault: it does not use up the
    user's retries but a small budget of its own.
    """

    task_id: UUID
    error: str
    kind: TaskEventKind = TaskEventKind.FAILED
    retry_count: int | None = None
    should_not_retry: bool = False
    retry_after_ms: int | None = None
    is_internal: bool = False
    stops_worker: bool = False
    unless_started: bool = False
    """The failure is that no worker acknowledged the attempt: nothing fails if one has meanwhile."""
    was_started: bool = False
    """A worker says so, which must have started the attempt."""
    at: datetime | None = None
    """When, by the worker's clock."""


class _Next(NamedTuple):
    requeue: Requeue | None
    error: str
    delay_seconds: float = 0.0


def fail_attempts(failures: Sequence[Failure], now: datetime) -> Operation[set[UUID]]:
    """Apply failures of attempts that still run; return the runs of DAG tasks that ended for good.

    DAG runs of these tasks are locked already; the tasks are locked here.
    """
    failed = yield from _lock_failed(failures)
    if not failed:
        return set()
    versions = yield from load_versions(row.version_id for row, _ in failed)
    changes = Changes()
    requeues: list[Requeue] = []
    settled: list[TaskRow] = []
    ended: list[Settled] = []
    events: list[NewTaskEvent] = []
    errors: list[NewPayload] = []
    noted: list[Failed] = []
    for row, failure in failed:
        step = step_of(versions[row.version_id], row.step_id).definition
        following = _decide(row, step, failure)
        error, ended_at = following.error, _ended_at(row, failure, now)
        errors.append(NewPayload(row.id, PayloadKind.ERROR, error.encode(), row.retry_count))
        events.append(_event(row, failure.kind, error)._replace(at=ended_at))
        if following.requeue:
            requeues.append(following.requeue)
            events += _retry_events(row, following, failure, now)
            changes.add(_next_attempt(row, versions[row.version_id], following.requeue))
        else:
            settled.append(row)
            ended.append(Settled(row.id, Status.FAILED, failure.was_started, ended_at))
        if not (failure.is_internal and following.requeue):
            noted.append(_noted(row, following))
        changes.ended.append(_end_of(row, failure, following))
        changes.touched.add((row.tenant_id, row.run_id))
    along: list[Query[Any]] = [payloads.insert(errors)]
    if noted:
        along.append(error_groups.note(noted, now))
    children = yield from _write(requeues, ended, events, along=along, now=now)
    for row in settled:
        if row.run_id == row.id:
            is_child = row.run_id in children
            changes.finished.append(FinishedRun(row.tenant_id, row.run_id, Status.FAILED, is_child))
    yield changes
    return {row.run_id for row in settled if row.run_id != row.id}


def _noted(row: TaskRow, following: _Next) -> Failed:
    """Return what is kept of a failure to group it by; of one that is not the task's fault only the last."""
    return Failed(
        row.tenant_id,
        row.run_id,
        row.id,
        row.retry_count,
        row.workflow_id,
        row.version_id,
        row.action_id,
        row.worker_id,
        is_final=following.requeue is None,
        fingerprint=fingerprint_of(following.error, row.action_id),
    )


def _lock_failed(failures: Sequence[Failure]) -> Operation[list[tuple[TaskRow, Failure]]]:
    """Lock the tasks; return those whose present attempt fails, each with the first reason given."""
    claimed: dict[UUID, list[Failure]] = defaultdict(list)
    for failure in failures:
        claimed[failure.task_id].append(failure)
    failed = []
    for row in (yield from fetch(tasks.lock(sorted(claimed)))):
        current = [failure for failure in claimed[row.id] if _is_current(row, failure)]
        if current:
            failed.append((row, current[0]))
    return failed


def _is_current(row: TaskRow, failure: Failure) -> bool:
    same_attempt = failure.retry_count is None or failure.retry_count == row.retry_count
    if failure.unless_started and row.started_at is not None:
        return False
    return row.status == Status.RUNNING and same_attempt


def _ended_at(row: TaskRow, failure: Failure, now: datetime) -> datetime | None:
    """Return when the attempt ended if that was before now and the worker's clock can be right."""
    since = row.started_at or row.assigned_at
    if failure.at is None or since is None or not since <= failure.at <= now:
        return None
    return failure.at


def _decide(row: TaskRow, step: StepDefinition, failure: Failure) -> _Next:
    if failure.is_internal:
        if row.internal_retry_count >= MAX_INTERNAL_RETRIES:
            return _Next(None, OUT_OF_REASSIGNMENTS)
        count = row.internal_retry_count + 1
        delay = 0.0
        if failure.kind is not TaskEventKind.REASSIGNED:
            delay = min(0.1 * 2 ** (count - 1), _LONGEST_DELIVERY_DELAY_SECONDS)
        return _retry(row, step, failure, app=row.app_retry_count, internal=count, delay=delay)
    if failure.should_not_retry or row.app_retry_count >= step.retries:
        return _Next(None, failure.error)
    count = row.app_retry_count + 1
    delay = retry_delay_seconds(
        count,
        backoff_factor=step.backoff_factor,
        backoff_max_seconds=step.backoff_max_seconds,
        retry_after_ms=failure.retry_after_ms,
    )
    return _retry(row, step, failure, app=count, internal=row.internal_retry_count, delay=delay)


def _retry(
    row: TaskRow, step: StepDefinition, failure: Failure, *, app: int, internal: int, delay: float
) -> _Next:
    due_in = delay if delay > 0 else step.schedule_timeout_seconds
    return _Next(Requeue(row.id, app, internal, delay > 0, due_in), failure.error, delay)


def _event(row: TaskRow, kind: TaskEventKind, message: str, *, later: int = 0) -> NewTaskEvent:
    return NewTaskEvent(
        row.run_id,
        row.id,
        row.retry_count + later,
        kind,
        message,
        row.worker_id if later == 0 else None,
    )


def _retry_events(
    row: TaskRow, following: _Next, failure: Failure, now: datetime
) -> list[NewTaskEvent]:
    events = []
    requeue = following.requeue
    assert requeue is not None
    if not failure.is_internal:
        message = f"This is retry number {requeue.app_retry_count}."
        if following.delay_seconds:
            until = now + timedelta(seconds=following.delay_seconds)
            message += (
                f" It waits {following.delay_seconds:g} s, until {until:%Y-%m-%d %H:%M:%S} UTC."
            )
        events.append(_event(row, TaskEventKind.RETRYING, message, later=1))
    if not requeue.is_delayed:
        events.append(_event(row, TaskEventKind.QUEUED, "", later=1))
    return events


def _next_attempt(row: TaskRow, version: RegisteredVersion, requeue: Requeue) -> Changes:
    """Say that an attempt is in the queue; or that it rests, which only concurrency groups ask about."""
    if requeue.is_delayed and row.concurrency_keys is None:
        return Changes(wakes_clock=True)
    ready = ready_task(
        version,
        row.id,
        row.step_id,
        retry_count=row.retry_count + 1,
        priority=RETRY_QUEUE_PRIORITY,
        desired_worker_id=row.desired_worker_id,
        desired_labels=row.desired_labels,
        concurrency_keys=row.concurrency_keys,
        has_begun=True,
    )
    if requeue.is_delayed:
        resting = ready._replace(is_resting=True)
        return Changes(resting=[(row.tenant_id, resting)], wakes_clock=True)
    return Changes(ready=[(row.tenant_id, ready)], wakes_clock=True)


def _end_of(row: TaskRow, failure: Failure, following: _Next) -> AttemptEnd:
    has_next = following.requeue is not None
    return AttemptEnd(
        row.tenant_id,
        row.run_id,
        row.id,
        row.step_id,
        row.version_id,
        row.retry_count,
        Status.FAILED,
        following.error.encode(),
        row.worker_id if failure.stops_worker else None,
        is_timed_out=failure.kind is TaskEventKind.TIMED_OUT,
        is_retried=has_next and not failure.is_internal,
        is_requeued=has_next and failure.is_internal,
    )


def _write(
    requeues: Sequence[Requeue],
    settled: Sequence[Settled],
    events: Sequence[NewTaskEvent],
    *,
    along: Sequence[Query[Any]],
    now: datetime,
) -> Operation[set[UUID]]:
    """Return the runs that ended and are children of durable tasks."""
    queries: list[Query[Any]] = [task_events.insert(events, now), *along]
    if requeues:
        queries.append(tasks.requeue(requeues, now))
    if settled:
        queries.append(tasks.settle(settled, now))
    results = yield from fetch_all(*queries)
    return set(results[-1]) if settled else set()
