"""What a tenant's owner knows of paused workflows, and whether it knows it still."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.operations.parts.versions import workflow_of


class Pauses:
    """The workflows of one tenant none of whose tasks may be handed out.

    Who reads them takes the count of `changes` before, and sets `changes_read` to it after: what changes
    meanwhile is read again.
    """

    def __init__(self) -> None:
        self.workflows: frozenset[UUID] = frozenset()
        self.changes = self.changes_read = 0
        self.reading = asyncio.Lock()

    @property
    def is_known(self) -> bool:
        return self.changes_read == self.changes

    def invalidate(self) -> None:
        """A workflow may have been paused or resumed: hand out nothing until they are read again."""
        self.changes += 1

    def is_paused(self, task: ReadyTask) -> bool:
        return workflow_of(task.version_id) in self.workflows

    def without_paused(self, ready: Sequence[ReadyTask]) -> Sequence[ReadyTask]:
        if not self.workflows:
            return ready
        return [task for task in ready if not self.is_paused(task)]
