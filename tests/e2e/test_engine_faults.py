"""Engines that die or stop under load: every accepted run finishes, and none is executed twice."""

from __future__ import annotations

import signal
import time
from uuid import UUID

import psutil
import pytest

from engine.states import Status
from tests.e2e.load import Load
from tests.e2e.stack import Stack
from tests.e2e.tenant import Tenant, wait_for

pytestmark = pytest.mark.chaos

STOP_SECONDS = 30.0
"""What process managers grant at least before they kill."""


def test_an_engine_killed_under_load_neither_loses_nor_repeats(
    own_stack: Stack, own_tenant: Tenant
) -> None:
    engine = own_stack.start_engine()
    with Load(own_tenant) as load:
        for _ in range(2):
            engine.kill()
            engine = own_stack.start_engine()
            load.wait_for_progress(60)
        load.finish()
        load.assert_once_each()


def test_an_engine_killed_under_load_loses_nothing_of_the_official_sdk(
    own_stack: Stack, own_tenant: Tenant
) -> None:
    engine = own_stack.start_engine()
    with Load(own_tenant, worker="load") as load:
        engine.kill()
        own_stack.start_engine()
        load.wait_for_progress(60)
        load.finish()


def test_what_ran_while_no_engine_was_there_may_still_report(
    own_stack: Stack, own_tenant: Tenant
) -> None:
    engine = own_stack.start_engine()
    client = own_tenant.start_client("load")
    client.call("register")
    own_tenant.start_worker("steady")
    run_id = client.call("start_held")
    own_tenant.wait_for_marks("held")
    engine.kill()
    # The task's time is up, as if the engine had been away for longer.
    own_tenant.rows(
        "UPDATE engine_task SET due_at = now() - interval '1 minute' WHERE run_id = %s RETURNING 1",
        UUID(run_id),
    )
    engine = own_stack.start_engine()
    engine.wait_for_output("scheduling 1 workers, 1 running")
    own_tenant.open_gate("held")
    own_tenant.wait_for_status(run_id, Status.COMPLETED)
    assert len(own_tenant.marks("held")) == 1


def test_an_engine_asked_to_stop_under_load_does_so_in_time_and_loses_nothing(
    own_stack: Stack, own_tenant: Tenant
) -> None:
    engine = own_stack.start_engine()
    with Load(own_tenant) as load:
        asked_at = time.monotonic()
        assert engine.stop() == 0, engine.output
        assert time.monotonic() - asked_at < STOP_SECONDS
        assert "Traceback" not in engine.output
        own_stack.start_engine()
        load.wait_for_progress(60)
        load.finish()
        load.assert_once_each()


def engines_of(supervisor: psutil.Process) -> set[int]:
    return {child.pid for child in supervisor.children()}


def test_a_tenant_moves_to_the_engine_that_survives(own_stack: Stack, own_tenant: Tenant) -> None:
    service = own_stack.start_engine("--processes", "2")
    supervisor = psutil.Process(service.process.pid)
    wait_for("two engines", lambda: engines_serving(own_tenant) == 2)
    with Load(own_tenant) as load:
        epoch = lease_epoch(own_tenant)
        first, second = sorted(engines_of(supervisor))
        # One after the other: one of the two had the tenant.
        for victim in (first, second):
            psutil.Process(victim).send_signal(signal.SIGKILL)
            load.wait_for_progress(60)
            wait_for("two engines again", lambda: engines_serving(own_tenant) == 2)
        assert lease_epoch(own_tenant) > epoch
        load.finish()
        load.assert_once_each()
    assert service.stop() == 0, service.output


def lease_epoch(tenant: Tenant) -> int:
    found = tenant.rows("SELECT epoch FROM engine_lease WHERE tenant_id = %s", tenant.id)
    return int(found[0][0]) if found else 0


def engines_serving(tenant: Tenant) -> int:
    found = tenant.rows(
        "SELECT count(*) FROM engine_engineprocess WHERE heartbeat_at > now() - interval '3 s'"
    )
    return int(found[0][0])
