"""The fast path: from a trigger call to a run that is committed already assigned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import psycopg

from engine.domain.definition import RegisteredVersion
from engine.domain.payload import action_payload
from engine.domain.scheduler.machine import Assignment
from engine.errors import IdempotencyCollision, LeaseLost
from engine.operations.parts.adopt_children import adopt_children
from engine.operations.parts.claim_keys import claim_children
from engine.operations.parts.plan_runs import PlannedRun, plan_new_run
from engine.operations.parts.versions import ready_task, step_of
from engine.operations.trigger_runs import collision_of, insert_runs, refuse_problems
from engine.runtime.catalog import Catalog
from engine.runtime.loops.batcher import Batcher
from engine.runtime.scheduler.owner import TenantOwner
from engine.runtime.task_life import emit_assigned
from engine.runtime.writers.assignments import Assignments
from engine.sandbox.pool import settled_async
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation
from engine.types import Action, ActionKind, TriggerRequest


class _Call(NamedTuple):
    """One caller's runs, planned."""

    tenant_id: UUID
    planned: list[PlannedRun]
    versions: Mapping[UUID, RegisteredVersion]


class _Offer(NamedTuple):
    """What a scheduler decided about a task that is about to be inserted, and under which epoch."""

    owner: TenantOwner
    assignment: Assignment
    epoch: int

    def undo(self) -> None:
        self.owner.undo_offer(self.assignment, self.epoch)


class Triggers:
    """Starts runs in batches; tasks that can run at once are inserted as running and pushed."""

    def __init__(
        self,
        database: AsyncDatabase,
        catalog: Catalog,
        assignments: Assignments,
        *,
        owners: dict[UUID, TenantOwner],
        on_lease_lost: Callable[[TenantOwner], None],
        on_outage: Callable[[], None],
    ) -> None:
        self._database, self._catalog = database, catalog
        self._assignments, self._owners = assignments, owners
        self._on_lease_lost, self._on_outage = on_lease_lost, on_outage
        self.batcher: Batcher[_Call, list[UUID]] = Batcher(
            "triggers", self._flush, on_outage=on_outage, tenant_of=lambda call: call.tenant_id
        )

    async def trigger(self, tenant_id: UUID, requests: Sequence[TriggerRequest]) -> list[UUID]:
        """Start runs and return their ids in request order once they are committed."""
        found = await self._catalog.resolve(tenant_id, [r.workflow_name for r in requests])
        if any(request.parent_task_id for request in requests):
            requests = await self._database.run(adopt_children(tenant_id, requests))
        planned = await settled_async(
            tenant_id,
            lambda: [plan_new_run(request, found[request.workflow_name]) for request in requests],
        )
        refuse_problems(planned)
        versions = {version.id: version for version in found.values()}
        size = sum(len(request.input) for request in requests)
        call = _Call(tenant_id, planned, versions)
        return await self.batcher.submit(call, rows=len(planned), size=size)

    async def _flush(self, calls: Sequence[_Call]) -> list[list[UUID] | Exception]:
        offered = self._offer(calls)
        try:
            ids, collisions = await self._database.run(self._insert(calls, offered))
        except psycopg.errors.UniqueViolation:
            # The same ids were committed before the connection broke. Memory may have been read before.
            self._on_outage()
            return [[item.run.id for item in call.planned] for call in calls]
        except LeaseLost:
            self._take_back(offered)
            for offer in offered.values():
                self._on_lease_lost(offer.owner)
            return await self._flush(calls)
        except BaseException:
            self._take_back(offered)
            raise
        self._push(calls, ids, offered)
        answers = iter(ids)
        return [_answer(call, [next(answers) for _ in call.planned], collisions) for call in calls]

    def _offer(self, calls: Sequence[_Call]) -> dict[UUID, _Offer]:
        """Let each tenant's scheduler assign what can run at once; by task id."""
        now = datetime.now(UTC).timestamp()
        offered = {}
        for call in calls:
            owner = self._owners.get(call.tenant_id)
            if owner is None:
                continue
            ready = [
                ready_task(
                    call.versions[task.version_id],
                    task.id,
                    task.step_id,
                    retry_count=0,
                    priority=task.queue_priority,
                    desired_worker_id=task.desired_worker_id,
                    desired_labels=task.desired_labels,
                    concurrency_keys=task.concurrency_keys,
                )
                for item in call.planned
                for task in item.tasks
                if not task.failure
            ]
            for assignment in owner.offer(ready, now):
                offered[assignment.task.id] = _Offer(owner, assignment, owner.epoch)
        return offered

    def _insert(
        self, calls: Sequence[_Call], offered: Mapping[UUID, _Offer]
    ) -> Operation[tuple[list[UUID], Mapping[UUID, UUID]]]:
        """Return each one's run, and who holds the keys of those that collided."""
        worker_of = {task_id: offer.assignment.worker_id for task_id, offer in offered.items()}
        planned = [item for call in calls for item in call.planned]
        ids = yield from claim_children([item.run for item in planned])
        new = [item for item, run_id in zip(planned, ids, strict=True) if item.run.id == run_id]
        if not new:
            return ids, {}
        epochs = {offer.owner.tenant_id: offer.epoch for offer in offered.values()}
        taken = {
            task_id: units
            for offer in offered.values()
            for task_id, units in offer.assignment.taken.items()
        }
        collisions = yield from insert_runs(
            new,
            datetime.now(UTC),
            worker_of=worker_of,
            epochs=epochs,
            taken=taken,
            is_last=True,
        )
        return [collisions.get(run_id, run_id) for run_id in ids], collisions

    def _take_back(self, offered: Mapping[UUID, _Offer]) -> None:
        for offer in offered.values():
            offer.undo()

    def _push(
        self,
        calls: Sequence[_Call],
        ids: Sequence[UUID],
        offered: Mapping[UUID, _Offer],
    ) -> None:
        """Deliver what was inserted as running; the slots for what was not are given to others."""
        answers, freed = iter(ids), set[TenantOwner]()
        assigned: list[Action] = []
        for call in calls:
            for item in call.planned:
                is_new = next(answers) == item.run.id
                for task in item.tasks:
                    if task.id not in offered:
                        continue
                    offer = offered[task.id]
                    if not is_new:
                        offer.undo()
                        freed.add(offer.owner)
                        continue
                    version = call.versions[task.version_id]
                    action = _start(item, task.id, task.step_id, version)
                    self._assignments.deliver(offer.assignment.worker_id, action)
                    assigned.append(action)
        emit_assigned(assigned)
        for owner in freed:
            owner.drain(datetime.now(UTC).timestamp())


def _answer(
    call: _Call, ids: list[UUID], collisions: Mapping[UUID, UUID]
) -> list[UUID] | IdempotencyCollision:
    """Return the ids, or what collided beside the ids of those that did not."""
    collided = [item for item in call.planned if item.run.id in collisions]
    if not collided:
        return ids
    holders = {item.run.id for item in collided}
    started = [
        run_id for item, run_id in zip(call.planned, ids, strict=True) if item.run.id not in holders
    ]
    return collision_of(collided, collisions, started)


def _start(item: PlannedRun, task_id: UUID, step_id: UUID, version: RegisteredVersion) -> Action:
    run, step = item.run, step_of(version, step_id).definition
    return Action(
        kind=ActionKind.START,
        tenant_id=run.tenant_id,
        run_id=run.id,
        task_id=task_id,
        step_id=step_id,
        action_id=step.action_id,
        readable_id=step.readable_id,
        retry_count=0,
        priority=run.priority,
        workflow_id=run.workflow_id,
        version_id=run.version_id,
        payload=action_payload(run.input),
        additional_metadata=run.additional_metadata.encode() if run.additional_metadata else None,
        parent_run_id=run.parent_run_id,
        child_index=run.child_index,
        child_key=run.child_key,
        durable_invocation=1 if step.is_durable else None,
    )
