"""Works off bulk actions, a few runs of each at a time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine.errors import PayloadsAway
from engine.operations.work_bulk_actions import advance_bulk_action, fail_bulk_action
from engine.runtime.loops.isolation import cause_of, isolate
from engine.runtime.loops.periodic import PeriodicService
from engine.store import bulk_actions
from engine.store.async_db import AsyncDatabase

log = logging.getLogger("hatchet.controllers")

_ACTIONS_AT_ONCE = 10


class BulkActions(PeriodicService):
    """Carries on what is started. Every engine does: an action belongs to none, and outlives each."""

    name = "bulk actions"
    interval_seconds = 5.0

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database

    async def tick(self) -> bool:
        has_more = False

        async def advance(action_ids: Sequence[UUID]) -> None:
            nonlocal has_more
            for action_id in action_ids:
                operation = advance_bulk_action(action_id, datetime.now(UTC))
                try:
                    has_more |= await self._database.run(operation)
                except PayloadsAway as error:
                    log.warning("bulk action %s waits: %s", action_id, error)

        for action_id in await self._database.fetch(bulk_actions.running(_ACTIONS_AT_ONCE)):
            await isolate("bulk actions", [action_id], advance, self._fail)
        return has_more

    async def _fail(self, action_id: UUID, error: Exception) -> None:
        log.error("bulk action %s ends: %s", action_id, cause_of(error), exc_info=error)
        await self._database.run(fail_bulk_action(action_id, cause_of(error), datetime.now(UTC)))
