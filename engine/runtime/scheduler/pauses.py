"""What a tenant's owner knows of paused workflows, and whether it knows it still."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.operations.parts.versions import workflow_of


class Pauses:
    """The workflows of one tenant none of whose tasks may be handed out.

    Who reads them notes how much was `asked` before, and that this is `answered` after: what is asked
    meanwhile stays open.
    """

    def __init__(self) -> None:
        self.workflows: frozenset[UUID] = frozenset()
        self.asked = self.answered = 0
        self.reading = asyncio.Lock()

    @property
    def is_known(self) -> bool:
        return self.answered == self.asked

    def question(self) -> None:
        """A workflow may have been paused or resumed: hand out nothing until they are read again."""
        self.asked += 1

    def is_paused(self, task: ReadyTask) -> bool:
        return workflow_of(task.version_id) in self.workflows

    def without_paused(self, ready: Sequence[ReadyTask]) -> Sequence[ReadyTask]:
        if not self.workflows:
            return ready
        return [task for task in ready if not self.is_paused(task)]
