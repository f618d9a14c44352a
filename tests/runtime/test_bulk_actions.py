"""Cancelling and replaying many runs through the engine, and what it says was done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from engine.errors import InvalidArgument
from engine.ids import new_id
from engine.operations import choose_runs
from engine.runtime.engine import HatchetEngine
from engine.types import RunFilter, TriggerRequest
from tests.runtime.harness import workflow

EVERYTHING = RunFilter(since=datetime.now(UTC) - timedelta(days=1))


async def start(engine: HatchetEngine, tenant_id: UUID, number: int) -> set[UUID]:
    await engine.put_workflow(tenant_id, workflow())
    request = TriggerRequest(workflow().name)
    return set(await engine.trigger_runs(tenant_id, [request] * number))


async def test_all_that_a_filter_selects_is_done_in_parts(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose_runs, "AT_ONCE", 2)
    run_ids = await start(engine, tenant_id, 5)
    assert set(await engine.cancel_matching(tenant_id, EVERYTHING)) == run_ids
    assert await engine.cancel_matching(tenant_id, EVERYTHING) == []
    assert set(await engine.replay_matching(tenant_id, EVERYTHING)) == run_ids


async def test_too_many_are_refused_whole(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose_runs, "MOST_MATCHED", 2)
    run_ids = await start(engine, tenant_id, 3)
    for act in (engine.cancel_matching, engine.replay_matching):
        with pytest.raises(InvalidArgument, match="more than 2 runs"):
            await act(tenant_id, EVERYTHING)
    assert set(await engine.cancel(tenant_id, list(run_ids))) == run_ids


async def test_only_what_was_cancelled_is_named(engine: HatchetEngine, tenant_id: UUID) -> None:
    (run_id,) = await start(engine, tenant_id, 1)
    assert await engine.cancel(tenant_id, [new_id(), run_id, run_id]) == [run_id]
    assert await engine.cancel(tenant_id, [run_id]) == []
