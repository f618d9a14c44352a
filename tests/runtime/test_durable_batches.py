"""One durable call that has to wait does not hold up the calls of others."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg

from engine.domain.durable.calls import Call, MemoCall, Unknown, WaitCall, WaitCondition
from engine.runtime.engine import HatchetEngine
from engine.states import ConditionKind
from engine.store.durable_waits import scope_lock
from tests.runtime.harness import PATIENCE_SECONDS


async def test_a_transaction_that_pushes_an_event_for_long_stops_no_other_durable_task(
    engine: HatchetEngine, conninfo: str, tenant_id: UUID
) -> None:
    condition = WaitCondition(
        ConditionKind.EVENT, uuid4(), "paid", "paid", scope="a", since=datetime.now(UTC)
    )
    looks_back = Call(tenant_id, uuid4(), 1, WaitCall((condition,)))
    plain = Call(tenant_id, uuid4(), 1, MemoCall(b"k"))
    async with await psycopg.AsyncConnection.connect(conninfo) as pusher:
        await pusher.execute(
            "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))",
            [scope_lock(tenant_id, "a")],
        )
        held_up = asyncio.create_task(engine.durable.record(looks_back))
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await engine.durable.record(plain)).body == Unknown()
        assert not held_up.done()
        await pusher.commit()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await held_up).body == Unknown()
