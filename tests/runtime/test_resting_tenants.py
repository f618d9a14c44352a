"""Nothing starts in an archived or deleted tenant, and the engine that scheduled it goes on for the others."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from engine.errors import InvalidArgument
from engine.models import Run
from engine.operations import purge_tenants
from engine.runtime.controllers.housekeeping import Housekeeping
from engine.runtime.engine import HatchetEngine
from engine.states import Status
from tenants.models import Tenant
from tests.recorder import Recorder
from tests.runtime.harness import (
    FakeWorker,
    result_of,
    trigger,
    until,
    with_django,
    workflow,
)


def archive(tenant_id: UUID, *, is_archived: bool = True, is_deleted: bool = False) -> None:
    now = timezone.now()
    Tenant.objects.filter(id=tenant_id).update(
        archived_at=now if is_archived else None, deleted_at=now if is_deleted else None
    )


def is_queued(run_id: UUID) -> bool:
    return Run.objects.get(id=run_id).status == Status.QUEUED


async def test_an_archived_tenant_rests_until_it_is_back(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID, recorder: Recorder
) -> None:
    for one in (tenant_id, stranger_id):
        await engine.put_workflow(one, workflow())
        await recorder.wait_for("scheduler.rebuilt", tenant_id=one)
    worker = await FakeWorker.connect(engine, tenant_id)
    other = await FakeWorker.connect(engine, stranger_id)
    await with_django(lambda: archive(tenant_id))
    await recorder.wait_for("lease.lost", tenant_id=tenant_id)
    (resting,) = await trigger(engine, tenant_id)
    (running,) = await trigger(engine, stranger_id)
    await other.complete(await other.next_start())
    assert (await result_of(engine, stranger_id, running)).run_id == running
    assert await with_django(lambda: is_queued(resting))
    await with_django(lambda: archive(tenant_id, is_archived=False))
    await worker.complete(await worker.next_start())
    assert (await result_of(engine, tenant_id, resting)).run_id == resting


async def test_an_engine_survives_the_deletion_of_what_it_schedules(
    engine: HatchetEngine,
    tenant_id: UUID,
    stranger_id: UUID,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(purge_tenants, "KEPT", timedelta(0))
    for one in (tenant_id, stranger_id):
        await engine.put_workflow(one, workflow(retries=1))
        await recorder.wait_for("scheduler.rebuilt", tenant_id=one)
    worker = await FakeWorker.connect(engine, tenant_id)
    other = await FakeWorker.connect(engine, stranger_id)
    await trigger(engine, tenant_id, 3)
    action = await worker.next_start()
    await with_django(lambda: archive(tenant_id, is_deleted=True))
    await recorder.wait_for("lease.lost", tenant_id=tenant_id)
    # What others have locked at the moment is passed over.
    while await with_django(lambda: Tenant.with_deleted.filter(id=tenant_id).exists()):
        await Housekeeping(engine.database).tick()
    assert not await with_django(lambda: Run.objects.filter(tenant_id=tenant_id).exists())
    with pytest.raises(InvalidArgument, match="unknown task"):
        await worker.complete(action)
    (run_id,) = await trigger(engine, stranger_id)
    await other.complete(await other.next_start())
    assert (await result_of(engine, stranger_id, run_id)).run_id == run_id
    await until(lambda: tenant_id not in engine.ownership.owners)
