"""What is due is done when it is due, however long the clock meant to sleep."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.runtime.controllers import clock
from engine.runtime.engine import HatchetEngine
from engine.states import Status
from tests.runtime.harness import FakeWorker, result_of, trigger, workflow


async def test_a_task_that_had_to_queue_is_stopped_when_its_time_is_up(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock saw it queued, due in minutes; its execution may take far less."""
    monkeypatch.setattr(clock, "_SLOWEST_SECONDS", 3600.0)
    await engine.put_workflow(
        tenant_id, workflow(execution_timeout="1s", execution_timeout_seconds=0.3)
    )
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    (first,) = await trigger(engine, tenant_id)
    action = await worker.next_start()
    (second,) = await trigger(engine, tenant_id)
    # The first times out, which lets the second go; then nothing happens but time.
    for run_id in (first, second):
        finished = await result_of(engine, tenant_id, run_id)
        assert [result.status for result in finished.results] == [Status.FAILED]
    assert action.task_id == first
