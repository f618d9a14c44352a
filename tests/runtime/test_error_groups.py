"""Failures are counted into groups as soon as an engine has written them, and not looked for before."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.runtime.controllers import error_groups
from engine.runtime.controllers.error_groups import ErrorGroups
from engine.runtime.engine import HatchetEngine
from engine.types import ReportKind
from tests.recorder import Recorder
from tests.runtime.harness import FakeWorker, trigger, workflow


@pytest.fixture(autouse=True)
def no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_groups, "REST_SECONDS", 86_400.0)
    monkeypatch.setattr(ErrorGroups, "interval_seconds", 0.05)


async def test_a_failure_wakes_who_counts_it(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    for message in (b"first went wrong", b"second broke"):
        await trigger(engine, tenant_id)
        action = await worker.next_start()
        await worker.report(action, ReportKind.FAILED, message)
        await recorder.wait_for("errors.new", tenant_id=tenant_id)
