"""What clients change over gRPC is in the audit log, as the doing of their token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine.domain.definition import WorkflowDefinition
from engine.operations.audited import REPLAY, acting
from engine.operations.replay_tasks import replay_tasks
from engine.runtime.engine import HatchetEngine
from engine.states import RateLimitWindow
from engine.store.query import Repeatable, name_of
from engine.types import TriggerRequest
from tenants.audit.models import AuditEntry
from tenants.caller import calling
from tenants.models import APIToken, Tenant, TokenScope
from tenants.token_claims import VerifiedToken
from tenants.tokens import create_token
from tests.runtime.harness import engine_on, workflow

Work = Callable[[HatchetEngine], Awaitable[None]]


def told_of(
    conninfo: str, tenant_id: UUID, work: Work, *, caller: APIToken | None
) -> list[AuditEntry]:
    """What the log says of what is done by an engine within one call."""

    async def run() -> None:
        async with engine_on(conninfo) as engine:
            if caller is not None:
                until = datetime(2099, 1, 1, tzinfo=UTC)
                calling.set(VerifiedToken(tenant_id, caller.id, until, TokenScope.FULL))
            await work(engine)

    asyncio.run(run())
    return list(AuditEntry.objects.filter(tenant_id=tenant_id).order_by("id"))


def make_token(tenant_id: UUID) -> APIToken:
    return create_token(Tenant.objects.get(id=tenant_id), "worker")[0]


def test_a_new_version_is_told_with_what_it_declares(conninfo: str, tenant_id: UUID) -> None:
    definition = WorkflowDefinition("work", workflow().steps, cron_triggers=("0 3 * * *",))

    async def register_twice(engine: HatchetEngine) -> None:
        for _ in range(2):
            await engine.put_workflow(tenant_id, definition)

    token = make_token(tenant_id)
    entries = told_of(conninfo, tenant_id, register_twice, caller=token)
    assert sorted(one.action for one in entries) == ["cron.create", "workflow.put", "workflow.put"]
    assert {(one.actor_kind, one.actor_id, one.actor_name) for one in entries} == {
        ("token", str(token.id), "worker")
    }
    assert {one.resource_name for one in entries if one.resource_kind == "workflow"} == {"work"}


def test_a_rate_limit_is_told_when_it_changes(conninfo: str, tenant_id: UUID) -> None:
    async def put(engine: HatchetEngine) -> None:
        for limit in (10, 10, 20):
            await engine.put_rate_limit(tenant_id, "k", limit, RateLimitWindow.HOUR)

    entries = told_of(conninfo, tenant_id, put, caller=make_token(tenant_id))
    assert [one.action for one in entries] == ["rate_limit.put", "rate_limit.put"]
    assert (entries[1].before, entries[1].after) == ({"limit_value": 10}, {"limit_value": 20})
    assert entries[1].resource_id == "k"


def test_cancels_and_replays_are_told(conninfo: str, tenant_id: UUID) -> None:
    runs: list[UUID] = []

    async def cancel_and_replay(engine: HatchetEngine) -> None:
        await engine.put_workflow(tenant_id, workflow())
        runs.extend(await engine.trigger_runs(tenant_id, [TriggerRequest("work")]))
        for _ in range(2):
            await engine.cancel(tenant_id, runs)
        await engine.replay(tenant_id, runs)

    entries = told_of(conninfo, tenant_id, cancel_and_replay, caller=make_token(tenant_id))
    acts = [one for one in entries if one.resource_kind == "run"]
    assert [(one.action, one.resource_id) for one in acts] == [
        ("run.cancel", str(runs[0])),
        ("run.replay", str(runs[0])),
    ]
    assert acts[0].after == {"count": 1, "ids": [str(runs[0])]}


def test_schedules_are_told(conninfo: str, tenant_id: UUID) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    async def schedule(engine: HatchetEngine) -> None:
        await engine.put_workflow(tenant_id, workflow())
        request = TriggerRequest("work", input=b'{"card":"4111"}')
        await engine.schedule_runs(tenant_id, request, [tomorrow, tomorrow + timedelta(days=1)])

    entries = told_of(conninfo, tenant_id, schedule, caller=make_token(tenant_id))
    made = [one for one in entries if one.resource_kind == "schedule"]
    assert [one.action for one in made] == ["schedule.create"] * 2
    assert {one.resource_name for one in made} == {"work"}
    assert "4111" not in str([one.after for one in made])


def test_what_is_told_can_still_be_begun_anew() -> None:
    """So that costly expressions of a replayed run are evaluated outside of its transaction."""
    until = datetime(2099, 1, 1, tzinfo=UTC)
    context = copy_context()
    context.run(calling.set, VerifiedToken(UUID(int=1), UUID(int=2), until, TokenScope.FULL))
    replay = replay_tasks(UUID(int=1), [], until)
    told = context.run(acting, REPLAY, replay, lambda done: done.ids)
    assert isinstance(told, Repeatable)
    assert told is not replay
    assert name_of(told) == name_of(replay)


def test_what_the_engine_does_by_itself_is_not_told(conninfo: str, tenant_id: UUID) -> None:
    async def register(engine: HatchetEngine) -> None:
        await engine.put_workflow(tenant_id, workflow())

    assert told_of(conninfo, tenant_id, register, caller=None) == []
