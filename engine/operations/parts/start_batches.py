"""Puts together what a worker gets that runs several tasks at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.domain.concurrency import claims_of
from engine.domain.definition import RegisteredVersion
from engine.domain.payload import length_of
from engine.ids import new_id
from engine.operations.parts.versions import step_of
from engine.states import FlushReason
from engine.store import batches
from engine.store.batches import Membership
from engine.store.query import Operation, fetch
from engine.types import Action, ActionKind, BatchItem, BatchStart, TaskReport

Delivery = tuple[UUID, Action]
"""(worker, action)"""

_FRAME_BYTES = 110
"""What the ids of an item add to its payload."""


class MadeBatch(NamedTuple):
    """A batch a scheduler made, with its items in order."""

    id: UUID
    key: str
    reason: FlushReason
    tasks: Sequence[ReadyTask]


def memberships(made: Sequence[MadeBatch]) -> list[Membership]:
    """Return what rows are to say of the batches' items, in id order."""
    return sorted(
        Membership(task.id, task.retry_count, batch.id, _message(batch))
        for batch in made
        for task in batch.tasks
    )


def _message(batch: MadeBatch) -> str:
    return f"One of {len(batch.tasks)} tasks in batch {batch.id}, made for {batch.reason}."


def split_large(
    made: Sequence[MadeBatch], actions: Sequence[Delivery], max_bytes: int
) -> tuple[list[MadeBatch], list[MadeBatch]]:
    """Return batches that fit into one message each, and those of them that are new.

    What a scheduler knows of an item's size is from when its task was created; other tasks of its run
    may have brought outputs since. The parts go to the same worker, over one task's slots.
    """
    size_of = {action.task_id: length_of(action.payload) + _FRAME_BYTES for _, action in actions}
    fitting: list[MadeBatch] = []
    split: list[MadeBatch] = []
    for batch in made:
        parts: list[list[ReadyTask]] = [[]]
        size = 0
        for task in batch.tasks:
            size += size_of.get(task.id, 0)
            if size > max_bytes and parts[-1]:
                parts.append([])
                size = size_of.get(task.id, 0)
            parts[-1].append(task)
        fitting.append(batch._replace(tasks=parts[0]))
        split += [batch._replace(id=new_id(), tasks=part) for part in parts[1:]]
    return [*fitting, *split], split


def gather_made(
    actions: Sequence[Delivery], made: Sequence[MadeBatch], now: datetime
) -> list[Delivery]:
    """Make one action of those of each batch. Items that were not assigned are left out."""
    of_task = {action.task_id: (worker_id, action) for worker_id, action in actions}
    gathered = []
    for batch in made:
        items = [of_task.pop(task.id) for task in batch.tasks if task.id in of_task]
        if items:
            gathered.append(_join(items, batch.id, batch.key, batch.reason, now))
    return [*of_task.values(), *gathered]


def gather_undelivered(
    actions: Sequence[Delivery], versions: Mapping[UUID, RegisteredVersion]
) -> Operation[list[Delivery]]:
    """Do the same for batches that were assigned before, none of whose items was acknowledged."""
    of_task = {action.task_id: (worker_id, action) for worker_id, action in actions}
    batched = [
        action.task_id
        for _, action in actions
        if step_of(versions[action.version_id], action.step_id).definition.batch
    ]
    if not batched:
        return list(actions)
    of_batch: dict[UUID, list[batches.UndeliveredMember]] = defaultdict(list)
    for member in (yield from fetch(batches.undelivered(sorted(batched)))):
        if member.batch_id is not None:
            of_batch[member.batch_id].append(member)
    gathered = []
    for batch_id, members in of_batch.items():
        items = [of_task[member.task_id] for member in members]
        first = items[0][1]
        version = versions[first.version_id]
        claims = claims_of(version, step_of(version, first.step_id), members[0].concurrency_keys)
        key = claims.batch.group.key if claims and claims.batch else ""
        at = members[0].assigned_at
        gathered.append(_join(items, batch_id, key, FlushReason.REDELIVERY, at))
    return [*(of_task[task_id] for task_id in of_task.keys() - set(batched)), *gathered]


def _join(
    items: Sequence[Delivery], batch_id: UUID, key: str, reason: FlushReason, at: datetime
) -> Delivery:
    worker_id, first = items[0]
    members = [BatchItem(action.task_id, action.run_id, action.retry_count) for _, action in items]
    parts = [
        b'"%s":{"workflow_run_id":"%s","payload":%s}'
        % (str(action.task_id).encode(), str(action.run_id).encode(), action.payload)
        for _, action in items
    ]
    joined = first._replace(
        kind=ActionKind.START_BATCH,
        run_id=batch_id,
        task_id=batch_id,
        retry_count=0,
        payload=b"{%s}" % b",".join(parts),
        batch=BatchStart(key, reason.value, at, tuple(members)),
    )
    return worker_id, joined


def find_abandoned(
    stops: Sequence[tuple[UUID, UUID, int]], batched: set[UUID]
) -> Operation[dict[UUID, UUID]]:
    """Return batches that no item is left of, each by one of the tasks that are to be stopped.

    A worker can stop a batch, not an item of it: what others wait for goes on.
    """
    if not batched:
        return {}
    workers = sorted({worker_id for worker_id, task_id, _ in stops if task_id in batched})
    found = yield from fetch(batches.abandoned(sorted(batched), workers))
    by_batch = {batch_id: task_id for task_id, batch_id in found}
    return {task_id: batch_id for batch_id, task_id in by_batch.items()}


def resolve_members(reports: Sequence[TaskReport]) -> Operation[list[TaskReport]]:
    """Return reports with the attempts they mean; those about batches that are over are left out.

    Workers do not know the attempt of an item: its batch tells.
    """
    claimed = {(r.task_id, r.tenant_id, r.batch_id) for r in reports if r.batch_id is not None}
    if not claimed:
        return list(reports)
    found = yield from fetch(batches.running_members(sorted(claimed)))
    retry_count_of = {(row.task_id, row.tenant_id, row.batch_id): row.retry_count for row in found}
    resolved = []
    for report in reports:
        if report.batch_id is None:
            resolved.append(report)
            continue
        retry_count = retry_count_of.get((report.task_id, report.tenant_id, report.batch_id))
        if retry_count is not None:
            resolved.append(report._replace(retry_count=retry_count))
    return resolved
