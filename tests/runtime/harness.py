"""Engines in this process on the real database, and workers that take what they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.ids import new_id
from engine.runtime.dispatcher.sessions import ActionSession
from engine.runtime.engine import HatchetEngine
from engine.store import sync_db
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation
from engine.types import (
    Action,
    ActionKind,
    ReportKind,
    RunFinished,
    TaskReport,
    TriggerRequest,
    WorkerRegistration,
)
from tenants.models import Tenant

PATIENCE_SECONDS = 60.0


def make_tenant() -> UUID:
    tenant = Tenant.objects.create(name="Runtime", slug=f"runtime-{new_id()}")
    return UUID(str(tenant.pk))


def workflow(name: str = "work", **options: Any) -> WorkflowDefinition:
    return WorkflowDefinition(name, (StepDefinition("run", f"{name}:run", **options),))


@asynccontextmanager
async def engine_on(conninfo: str, **options: int) -> AsyncIterator[HatchetEngine]:
    engine = HatchetEngine(conninfo, **options)
    await engine.start()
    try:
        yield engine
    finally:
        engine.stop_scheduling()
        await engine.stop()


Result = TypeVar("Result")


async def with_django(work: Callable[[], Result]) -> Result:
    """Use the ORM, or an operation on Django's connection, from a thread that leaves none open."""

    def done() -> Result:
        try:
            return work()
        finally:
            connection.close()

    return await sync_to_async(done)()


async def elsewhere(operation: Operation[Result]) -> Result:
    """Run an operation as another process does, which has no scheduler."""
    return await with_django(lambda: sync_db.run(operation))


async def unheard(engine: HatchetEngine, operation: Operation[Result]) -> Result:
    """Run an operation as a process does all of whose hints are lost."""
    database = AsyncDatabase(engine.database.conninfo, on_committed=lambda _: None)
    await database.open()
    try:
        return await database.run(operation)
    finally:
        await database.close()


async def until_rows(is_so: Callable[[], bool]) -> None:
    """Wait for what only the rows tell."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await with_django(is_so):  # noqa: ASYNC110  nobody signals it
            await asyncio.sleep(0.05)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something no event tells of; the loop is left to others between looks."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110  the condition is plain memory, nobody signals it
            await asyncio.sleep(0.01)


def break_once(monkeypatch: pytest.MonkeyPatch, module: ModuleType, operation: str) -> list[Any]:
    """Have the module's operation meet an outage the first time; what is returned is empty after."""
    outages = [psycopg.OperationalError("the server closed the connection")]
    works = getattr(module, operation)

    def break_or_work(*given: Any) -> Any:
        if outages:
            raise outages.pop()
        return (yield from works(*given))

    monkeypatch.setattr(module, operation, break_or_work)
    return outages


async def settled(
    tenant_id: UUID, first: HatchetEngine, second: HatchetEngine
) -> tuple[HatchetEngine, HatchetEngine]:
    """Wait until two engines have shared the tenants; return the tenant's engine and the other."""

    def is_settled() -> bool:
        counts = [len(engine.ownership.owners) for engine in (first, second)]
        owners = [engine.ownership.owners.get(tenant_id) for engine in (first, second)]
        knows = first.notifier.has_peers and second.notifier.has_peers
        return knows and abs(counts[0] - counts[1]) <= 1 and any(o and o.is_ready for o in owners)

    await until(is_settled)
    return (first, second) if tenant_id in first.ownership.owners else (second, first)


class FakeWorker:
    """A worker process as the engine sees it: a registration, a stream, heartbeats, reports."""

    def __init__(
        self, engine: HatchetEngine, tenant_id: UUID, worker_id: UUID, session: ActionSession
    ) -> None:
        self.engine, self.tenant_id, self.id, self.session = engine, tenant_id, worker_id, session
        self._actions = aiter(session)

    @classmethod
    async def connect(
        cls,
        engine: HatchetEngine,
        tenant_id: UUID,
        *actions: str,
        slots: int = 10,
        worker_id: UUID | None = None,
        labels: Mapping[str, str | int] = MappingProxyType({}),
    ) -> FakeWorker:
        if worker_id is None:
            registration = WorkerRegistration(
                "fake", actions or ("work:run",), {"default": slots}, labels
            )
            worker_id = await engine.register_worker(tenant_id, registration)
        session = await engine.open_session(tenant_id, worker_id)
        worker = cls(engine, tenant_id, worker_id, session)
        await worker.beat()
        return worker

    async def beat(self) -> None:
        await self.engine.record_heartbeat(self.tenant_id, self.id)

    async def next(self) -> Action:
        """The next action, with heartbeats while it does not come."""
        waiting = asyncio.ensure_future(anext(self._actions))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not waiting.done():
                await asyncio.wait([waiting], timeout=2.0)
                if not waiting.done():
                    await self.beat()
        return waiting.result()

    async def next_start(self) -> Action:
        action = await self.next()
        assert action.kind is ActionKind.START, action
        return action

    async def report(self, action: Action, kind: ReportKind, payload: bytes = b"{}") -> None:
        await self.engine.report(
            TaskReport(self.tenant_id, action.task_id, kind, action.retry_count, payload)
        )

    async def complete(self, action: Action, payload: bytes = b"{}") -> None:
        await self.report(action, ReportKind.COMPLETED, payload)

    async def leave(self) -> None:
        await self.session.close()


async def trigger(engine: HatchetEngine, tenant_id: UUID, count: int = 1) -> list[UUID]:
    return await engine.trigger_runs(tenant_id, [TriggerRequest("work")] * count)


async def result_of(engine: HatchetEngine, tenant_id: UUID, run_id: UUID) -> RunFinished:
    """Wait for a run as a client does."""
    subscription = engine.subscribe_runs(tenant_id)
    subscription.add(run_id)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await anext(aiter(subscription))
    finally:
        subscription.close()
