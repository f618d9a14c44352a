"""Which open streams serve which durable tasks: where completions go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Protocol
from uuid import UUID

from engine.domain.durable.calls import Completion
from engine.store.changes import Changes


class Follower(Protocol):
    """Somebody who follows durable tasks: a worker's stream, or a listener of the older API."""

    def offer(self, completion: Completion) -> None:
        """An entry of a task that is followed is complete."""

    def look_again(self, task_ids: Iterable[UUID]) -> None:
        """Something about these tasks changed: read what it is."""

    def drop(self, task_id: UUID) -> None:
        """An attempt of the task ended."""


class Routes:
    """Followers by task. A task may have several: an old stream that is half dead, and a new one."""

    def __init__(self) -> None:
        self._by_task: dict[UUID, dict[Follower, None]] = {}
        self._woken: set[UUID] = set()
        self.parents_woken = asyncio.Event()
        """Children of durable tasks ended."""

    def add(self, task_id: UUID, follower: Follower) -> None:
        self._by_task.setdefault(task_id, {})[follower] = None

    def remove(self, task_id: UUID, follower: Follower) -> None:
        followers = self._by_task.get(task_id)
        if followers is not None:
            followers.pop(follower, None)
            if not followers:
                del self._by_task[task_id]

    def apply(self, changes: Changes) -> None:
        """Tell the followers here what an operation changed."""
        for run in changes.finished:
            if run.wakes_parent:
                self.wake_parents(run.tenant_id)
        if not self._by_task:
            return
        for _, completion in changes.completions:
            for follower in self._of(completion.task_id):
                follower.offer(completion)
        for end in changes.ended:
            for follower in self._of(end.task_id):
                follower.drop(end.task_id)

    def wake_parents(self, tenant_id: UUID) -> None:
        """Children of durable tasks of this tenant ended."""
        self._woken.add(tenant_id)
        self.parents_woken.set()

    def take_woken(self) -> set[UUID]:
        """Return, once, the tenants in which children ended."""
        self.parents_woken.clear()
        woken, self._woken = self._woken, set()
        return woken

    def look_again(self, task_ids: Iterable[UUID]) -> None:
        """Have the followers of these tasks read what another process changed."""
        tasks_of: dict[Follower, list[UUID]] = {}
        for task_id in task_ids:
            for follower in self._of(task_id):
                tasks_of.setdefault(follower, []).append(task_id)
        for follower, named in tasks_of.items():
            follower.look_again(named)

    def _of(self, task_id: UUID) -> Iterator[Follower]:
        return iter(tuple(self._by_task.get(task_id, ())))
