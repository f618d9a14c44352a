"""Calls that are one operation each: run it in a transaction, answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from engine.domain.endings import cancelled_by, token_words
from engine.errors import NotFound
from engine.operations.audited import CANCEL, PUT_RATE_LIMIT, REPLAY, SCHEDULE, acting, changing
from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.change_rate_limits import pause_rate_limit, put_rate_limit
from engine.operations.choose_runs import few_at_a_time, matching_runs
from engine.operations.push_events import replay_event
from engine.operations.read_runs import load_run_details
from engine.operations.replay_tasks import Replay, replay_tasks
from engine.operations.timetable.change_schedules import schedule_runs
from engine.states import RateLimitWindow
from engine.store import tokens
from engine.store.async_db import AsyncDatabase
from engine.types import (
    EventRecord,
    RunDetails,
    RunFilter,
    ScheduledRuns,
    TriggerRequest,
)
from tenants.caller import calling

Result = TypeVar("Result")


class Calls:
    """The part of the engine that needs nothing but the database."""

    def __init__(self, database: AsyncDatabase) -> None:
        self.database = database

    async def schedule_runs(
        self, tenant_id: UUID, request: TriggerRequest, times: Sequence[datetime]
    ) -> ScheduledRuns:
        operation = schedule_runs(tenant_id, request, times, datetime.now(UTC))
        return await self.database.run(changing(SCHEDULE, operation))

    async def replay_event(self, tenant_id: UUID, event_id: UUID) -> EventRecord:
        return await self.database.run(replay_event(tenant_id, event_id, datetime.now(UTC)))

    async def cancel(self, tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
        done: list[UUID] = []
        message = cancelled_by(await self._caller())
        for some in few_at_a_time(ids):
            operation = cancel_tasks(tenant_id, some, datetime.now(UTC), message=message)
            done += await self.database.run(acting(CANCEL, operation, list))
        return done

    async def _caller(self) -> str:
        caller = calling.get()
        if caller is None:
            return "the engine"
        names = await self.database.fetch(tokens.name(caller.token_id))
        return token_words(names[0] if names else "")

    async def cancel_matching(self, tenant_id: UUID, run_filter: RunFilter) -> list[UUID]:
        return await self.cancel(
            tenant_id, await self.database.run(matching_runs(tenant_id, run_filter))
        )

    async def replay(self, tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
        replay = Replay([], ())
        for some in few_at_a_time(ids):
            operation = replay_tasks(tenant_id, some, datetime.now(UTC))
            part = await self.database.run(acting(REPLAY, operation, lambda done: done.ids))
            replay = replay.and_also(part)
        if replay.refused:
            raise replay.collision()
        return replay.ids

    async def replay_matching(self, tenant_id: UUID, run_filter: RunFilter) -> list[UUID]:
        return await self.replay(
            tenant_id, await self.database.run(matching_runs(tenant_id, run_filter))
        )

    async def get_run_details(self, tenant_id: UUID, external_id: UUID) -> RunDetails:
        details = await self.database.run(load_run_details(tenant_id, external_id))
        if details is None:
            raise NotFound("workflow run not found")
        return details

    async def put_rate_limit(
        self, tenant_id: UUID, key: str, limit: int, window: RateLimitWindow
    ) -> None:
        operation = put_rate_limit(tenant_id, key, limit, window, datetime.now(UTC))
        await self.database.run(changing(PUT_RATE_LIMIT, operation))

    async def pause_rate_limit(self, tenant_id: UUID, key: str, until: datetime) -> datetime:
        return await self.database.run(pause_rate_limit(tenant_id, key, until, datetime.now(UTC)))
