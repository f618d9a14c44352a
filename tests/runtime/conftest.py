"""Engine tests commit: each works in a tenant of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from uuid import UUID

import pytest
from pytest_django import Settings

from engine.runtime.engine import HatchetEngine
from tests.recorder import Recorder, recording
from tests.runtime.harness import engine_on, make_tenant
from tests.webhooks.receiver import Answer, Receiver
from webhooks.outgoing import deliver, schedule


@pytest.fixture
def tenant_id(committed_db: None) -> UUID:
    return make_tenant()


@pytest.fixture
def stranger_id(committed_db: None) -> UUID:
    return make_tenant()


@pytest.fixture(autouse=True)
def recorder() -> Iterator[Recorder]:
    """Hears all that happens in the test; what is emitted must be as it is listed."""
    with recording() as heard:
        yield heard


@pytest.fixture
async def engine(
    conninfo: str, tenant_id: UUID, recorder: Recorder
) -> AsyncIterator[HatchetEngine]:
    async with engine_on(conninfo) as running:
        yield running


@pytest.fixture
def quick_sending(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback may be sent to, and nothing is waited for that a test does not wait for itself."""
    settings.HATCHET = replace(
        settings.HATCHET, webhooks_allowed_networks=(ip_network("127.0.0.0/8"),)
    )
    monkeypatch.setattr(deliver, "_INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(deliver, "_IDLE_SECONDS", 0.05)
    monkeypatch.setattr(schedule, "DELAYS", (timedelta(milliseconds=1),) * 9)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver(lambda _: Answer())
    yield made
    made.close()
