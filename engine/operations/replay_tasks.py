"""Runs final tasks again: same ids, a new attempt, a fresh retry budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.concurrency import NO_KEYS, Keys, asks_with_run
from engine.domain.definition import RegisteredVersion
from engine.domain.plan_run import replay_set
from engine.domain.task_keys import keyed_steps
from engine.errors import Collision, IdempotencyCollision
from engine.ids import new_id
from engine.operations.parts.advance_runs import advance_runs, states_of
from engine.operations.parts.claim_keys import claim_keys_again
from engine.operations.parts.group_keys import ask_again, keys_from, load_key_data
from engine.operations.parts.versions import load_versions, ready_task, step_of
from engine.states import RETRY_QUEUE_PRIORITY, PayloadKind, Status, TaskEventKind
from engine.store import payloads, queues, runs, step_waits, task_events, tasks
from engine.store.changes import Changes, FinishedRun
from engine.store.payloads import NewPayload
from engine.store.query import Operation, fetch, fetch_all, repeatable
from engine.store.runs import ExternalId
from engine.store.task_events import NewTaskEvent
from engine.store.tasks import Requeue, Settled, TaskRow

_MESSAGE = "Task was replayed, resetting task result."


class Replay(NamedTuple):
    """The tasks that were replayed, and the runs that were not because others hold their keys."""

    ids: list[UUID]
    refused: tuple[Collision, ...]

    def collision(self) -> IdempotencyCollision:
        """Return the error that tells of the refused."""
        return IdempotencyCollision(self.refused, self.ids)

    def and_also(self, other: Replay) -> Replay:
        """Return both as one, for what took several transactions."""
        return Replay([*self.ids, *other.ids], (*self.refused, *other.refused))


@repeatable
def replay_tasks(tenant_id: UUID, ids: Sequence[UUID], now: datetime) -> Operation[Replay]:
    """Replay runs or tasks by the ids clients hold.

    What is not final stays as it is, and so does a DAG run whose steps are not all created. Replaying
    a DAG task replays its descendants; those wait for their parents' new outcomes.

    A run that ended claims its idempotency key again; if another holds it, it stays as it is and is among
    the `refused`.
    """
    found, refused = yield from _claimed(tenant_id, ids, now)
    dag_runs = sorted({row.run_id for row in found if row.is_dag})
    locked = (yield from fetch(runs.lock(dag_runs))) if dag_runs else []
    whole_runs = {row.run_id for row in found if row.is_dag and row.task_id is None}
    selected_tasks = {row.task_id for row in found if row.task_id}
    standalone = sorted(row.run_id for row in found if not row.is_dag)
    queue = (yield from fetch(tasks.lock(standalone))) if standalone else []
    queue = [row for row in queue if Status(row.status).is_final]
    parked: list[TaskRow] = []
    if locked:
        rows = yield from fetch(tasks.of_runs([run.id for run in locked]))
        versions = yield from load_versions(run.version_id for run in locked)
        rows_of: dict[UUID, list[TaskRow]] = defaultdict(list)
        for row in rows:
            rows_of[row.run_id].append(row)
        for run in locked:
            of_step = {row.step_id: row for row in rows_of[run.id]}
            chosen = {
                row.step_id
                for row in of_step.values()
                if run.id in whole_runs or row.id in selected_tasks
            }
            reset = replay_set(versions[run.version_id], states_of(rows_of[run.id]), chosen)
            queue += [of_step[step.id] for step in reset.queue]
            parked += [of_step[step.id] for step in reset.decide]
    if queue:
        yield from _reset(queue, parked, now)
    return Replay([row.id for row in (*queue, *parked)], refused)


def _claimed(
    tenant_id: UUID, ids: Sequence[UUID], now: datetime
) -> Operation[tuple[list[ExternalId], tuple[Collision, ...]]]:
    """Find what the ids name, without the runs that do not get their idempotency keys: those come after."""
    found = yield from fetch(runs.find_external(tenant_id, ids))
    place = {identity: number for number, identity in enumerate(ids)}
    found.sort(key=lambda row: place[row.external_id])
    wanted = list(dict.fromkeys(row.run_id for row in found))
    collisions = yield from claim_keys_again(wanted, now)
    refused = tuple(Collision(holder, run_id) for run_id, holder in collisions.items())
    return [row for row in found if row.run_id not in collisions], refused


def _reset(queue: Sequence[TaskRow], parked: Sequence[TaskRow], now: datetime) -> Operation[None]:
    versions = yield from load_versions(row.version_id for row in queue)
    requeues = [
        Requeue(
            row.id,
            0,
            0,
            False,
            step_of(versions[row.version_id], row.step_id).definition.schedule_timeout_seconds,
        )
        for row in queue
    ] + [Requeue(row.id, 0, 0, True, None) for row in parked]
    events = [_event(row, TaskEventKind.RETRIED_BY_USER, _MESSAGE) for row in (*queue, *parked)]
    events += [_event(row, TaskEventKind.QUEUED, "") for row in queue]
    yield from fetch_all(
        *([step_waits.forget([row.id for row in parked])] if parked else []),
        tasks.requeue(sorted(requeues), now),
        tasks.reset_run(sorted({row.run_id for row in queue})),
        payloads.delete_outputs(sorted(row.id for row in (*queue, *parked))),
        task_events.insert(events, now),
    )
    keys_of = yield from _new_keys(queue, versions)
    failed = [row for row in queue if keys_of.get(row.id, NO_KEYS).error]
    changes = Changes(wakes_clock=True)
    for row in queue:
        if row in failed:
            continue
        ready = ready_task(
            versions[row.version_id],
            row.id,
            row.step_id,
            retry_count=row.retry_count + 1,
            priority=RETRY_QUEUE_PRIORITY,
            desired_worker_id=row.desired_worker_id,
            desired_labels=row.desired_labels,
            concurrency_keys=keys_of.get(row.id, NO_KEYS).stored,
        )
        changes.ready.append((row.tenant_id, ready))
        changes.touched.add((row.tenant_id, row.run_id))
    yield changes
    if failed:
        yield from _fail_again(failed, keys_of, now)


def _new_keys(
    queue: Sequence[TaskRow], versions: Mapping[UUID, RegisteredVersion]
) -> Operation[Mapping[UUID, Keys]]:
    """Evaluate the keys of replayed tasks: they arrive anew in their concurrency groups."""
    keyed = [row for row in queue if row.step_id in keyed_steps(versions[row.version_id])]
    if not keyed:
        return {}
    version_of = {row.run_id: versions[row.version_id] for row in keyed}
    data = yield from load_key_data(version_of)
    asking = {
        row.run_id
        for row in keyed
        if asks_with_run(version_of[row.run_id], step_of(version_of[row.run_id], row.step_id))
    }
    again = {run_id: row for run_id, row in data.items() if run_id in asking}
    data = {**data, **(yield from ask_again(again, version_of))}
    keys_of = {}
    for row in keyed:
        version = versions[row.version_id]
        step = step_of(version, row.step_id)
        keys_of[row.id] = keys_from(
            data.get(row.run_id), version, step, arrival=new_id(), before=row.concurrency_keys
        )
    yield from fetch(queues.set_keys([(row.id, keys_of[row.id].stored) for row in keyed]))
    return keys_of


def _fail_again(
    rows: Sequence[TaskRow], keys_of: Mapping[UUID, Keys], now: datetime
) -> Operation[None]:
    """End new attempts that still have no keys."""
    errors = {row.id: keys_of[row.id].error or "" for row in rows}
    yield from fetch_all(
        tasks.settle([Settled(row.id, Status.FAILED) for row in rows], now),
        payloads.insert(
            [
                NewPayload(row.id, PayloadKind.ERROR, errors[row.id].encode(), row.retry_count + 1)
                for row in rows
            ]
        ),
        task_events.insert(
            [_event(row, TaskEventKind.FAILED, errors[row.id]) for row in rows], now
        ),
    )
    yield Changes(
        finished=[
            FinishedRun(row.tenant_id, row.run_id, Status.FAILED, wakes_parent=True)
            for row in rows
            if row.id == row.run_id
        ],
        touched={(row.tenant_id, row.run_id) for row in rows},
    )
    if dag_runs := sorted({row.run_id for row in rows if row.id != row.run_id}):
        yield from advance_runs((yield from fetch(runs.lock(dag_runs))), now)


def _event(row: TaskRow, kind: TaskEventKind, message: str) -> NewTaskEvent:
    return NewTaskEvent(row.run_id, row.id, row.retry_count + 1, kind, message)
