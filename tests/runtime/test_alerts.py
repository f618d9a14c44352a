"""Engines look, tell and send: each thing once however many there are, and one bad channel keeps none waiting."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.core import mail

from engine.runtime.engine import HatchetEngine
from engine.types import ReportKind
from tenants.models import Tenant
from tests.runtime.harness import FakeWorker, engine_on, trigger, until_rows, with_django, workflow
from tests.webhooks.alerting import group, make_channel, make_rule, pager, slack
from tests.webhooks.receiver import PATIENCE_SECONDS, Answer, Received, Receiver, receiving
from webhooks.alerts import deliver, look
from webhooks.alerts.channel_changes import delete_channel, try_channel
from webhooks.alerts.deliver import Alerter
from webhooks.alerts.kinds import HEALTH, QUEUE_AGE
from webhooks.models import Alert, AlertChannel, AlertNotification, AlertRule

pytestmark = pytest.mark.usefixtures("quick_sending")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for that a test does not wait for itself."""
    monkeypatch.setattr(deliver, "_INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(deliver, "_IDLE_SECONDS", 0.05)


def alerter_of(engine: HatchetEngine) -> Alerter:
    [found] = [one._work for one in engine._background if isinstance(one._work, Alerter)]
    return found


async def came(receiver: Receiver, count: int) -> list[Received]:
    return await asyncio.to_thread(receiver.wait_for, count)


def is_done(tenant_id: UUID, state: str, count: int) -> bool:
    return AlertNotification.objects.filter(tenant_id=tenant_id, state=state).count() == count


async def made(work: Any) -> Any:
    return await with_django(work)


async def test_failed_runs_are_told_to_slack_with_a_link(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    def settle() -> None:
        tenant = Tenant.objects.get(id=tenant_id)
        make_channel(tenant, slack(receiver.url()))
        Tenant.objects.filter(id=tenant_id).update(alerts_of_failures=True)

    await made(settle)
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    [run] = await trigger(engine, tenant_id)
    await worker.report(await worker.next_start(), ReportKind.FAILED, b"broken")
    [received] = await came(receiver, 1)
    text = received.json["blocks"][0]["text"]["text"]
    assert "1 run failed" in text
    alert = await made(lambda: Alert.objects.get(tenant_id=tenant_id))
    assert f"/alerts/{alert.id}" in text
    assert alert.link.endswith(f"/runs/{run}")
    await until_rows(lambda: is_done(tenant_id, "DELIVERED", 1))
    channel = await made(lambda: AlertChannel.objects.get(tenant_id=tenant_id))
    assert channel.last_delivered_at is not None


async def test_two_engines_tell_each_thing_once(
    conninfo: str, tenant_id: UUID, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules are due all the time, for both."""
    monkeypatch.setattr(deliver, "LOOK_EVERY", deliver.LOOK_EVERY * 0)

    def settle() -> None:
        tenant = Tenant.objects.get(id=tenant_id)
        make_channel(tenant, slack(receiver.url()))
        for number in range(10):
            make_rule(tenant, name=f"rule {number}")

    async with engine_on(conninfo) as first, engine_on(conninfo) as second:
        await first.put_workflow(tenant_id, workflow())
        await trigger(first, tenant_id)
        await made(settle)
        await until_rows(lambda: is_done(tenant_id, "DELIVERED", 10))
        for _ in range(3):
            await asyncio.gather(alerter_of(first).tick(), alerter_of(second).tick())
    assert len(receiver.so_far()) == 10
    assert await made(lambda: Alert.objects.filter(tenant_id=tenant_id).count()) == 10
    await made(lambda: AlertRule.objects.filter(tenant_id=tenant_id).delete())


async def test_a_channel_that_hangs_keeps_no_other_waiting(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    answered = threading.Event()

    def answer(_: Received) -> Answer:
        answered.wait(PATIENCE_SECONDS)
        return Answer()

    with receiving(answer) as hanging:

        def settle() -> None:
            tenant = Tenant.objects.get(id=tenant_id)
            stuck = make_channel(tenant, slack(hanging.url()))
            for _ in range(10):
                try_channel(stuck, datetime.now(UTC))
            try_channel(make_channel(tenant, slack(receiver.url())), datetime.now(UTC))

        await made(settle)
        await came(receiver, 1)
        await came(hanging, deliver.MOST_OF_EACH)
        await alerter_of(engine).tick()
        assert len(hanging.so_far()) == deliver.MOST_OF_EACH
        answered.set()
        await until_rows(lambda: is_done(tenant_id, "DELIVERED", 11))


async def test_what_is_not_taken_is_tried_again_shown_and_given_up(
    engine: HatchetEngine, tenant_id: UUID, receiver: Receiver
) -> None:
    receiver.answers = lambda _: Answer(500, b"out of order")

    def settle() -> AlertChannel:
        channel = make_channel(Tenant.objects.get(id=tenant_id), slack(receiver.url()))
        try_channel(channel, datetime.now(UTC))
        return channel

    channel = await made(settle)
    await until_rows(lambda: is_done(tenant_id, "FAILED", 1))
    assert len(receiver.so_far()) == 10
    await made(channel.refresh_from_db)
    assert channel.failing_since is not None
    assert channel.last_error == "answered 500: out of order"
    receiver.answers = lambda _: Answer()
    await made(lambda: try_channel(channel, datetime.now(UTC)))
    await until_rows(lambda: is_done(tenant_id, "DELIVERED", 1))
    await made(channel.refresh_from_db)
    assert (channel.failing_since, channel.last_error) == (None, "")


async def test_what_was_claimed_by_an_engine_that_died_is_sent_by_another(
    conninfo: str, tenant_id: UUID, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: Any) -> Any:
        raise RuntimeError("it died here")

    def settle() -> None:
        channel = make_channel(Tenant.objects.get(id=tenant_id), slack(receiver.url()))
        try_channel(channel, datetime.now(UTC))

    await made(settle)
    rows = AlertNotification.objects.filter(tenant_id=tenant_id)
    with monkeypatch.context() as patched:
        patched.setattr(Alerter, "_record", die)
        async with engine_on(conninfo):
            await came(receiver, 1)
            await until_rows(lambda: rows.exclude(claim_id=None).exists())
    async with engine_on(conninfo):
        await made(lambda: rows.update(due_at=datetime.now(UTC)))
        await until_rows(lambda: is_done(tenant_id, "DELIVERED", 1))
    assert len(receiver.so_far()) == 2


async def test_a_rule_that_cannot_be_looked_at_keeps_no_other_from_it(
    engine: HatchetEngine,
    tenant_id: UUID,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setitem(look._LOOKS, QUEUE_AGE, broken)

    def settle() -> None:
        tenant = Tenant.objects.get(id=tenant_id)
        make_channel(tenant, slack(receiver.url()))
        make_rule(tenant, QUEUE_AGE, name="broken")
        make_rule(tenant, name="works")

    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id)
    await made(settle)
    await came(receiver, 1)
    broken_rule = await made(lambda: AlertRule.objects.get(tenant_id=tenant_id, name="broken"))
    assert f"the alert rule {broken_rule.id} failed" in caplog.text


async def test_this_engine_and_database_are_well(engine: HatchetEngine, tenant_id: UUID) -> None:
    def settle() -> AlertRule:
        return make_rule(Tenant.objects.get(id=tenant_id), HEALTH)

    rule = await made(settle)
    before = rule.check_at
    await until_rows(lambda: AlertRule.objects.get(id=rule.id).check_at > before)
    found = await made(lambda: list(Alert.objects.filter(rule_id=rule.id, resolved_at=None)))
    assert [one.title for one in found if "database connections" in one.title] == []


async def test_what_went_to_a_channel_that_is_gone_fails(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    """A message may be made while its channel is deleted."""

    def settle() -> None:
        tenant = Tenant.objects.get(id=tenant_id)
        channel = make_channel(tenant, pager())
        channel_id = channel.id
        delete_channel(channel)
        AlertNotification.objects.create(
            tenant_id=tenant_id,
            channel_id=channel_id,
            event="TEST",
            state="PENDING",
            due_at=datetime.now(UTC),
            created_at=datetime.now(UTC),
        )

    await made(settle)
    await until_rows(lambda: is_done(tenant_id, "FAILED", 1))
    sent = await made(lambda: AlertNotification.objects.get(tenant_id=tenant_id))
    assert sent.error == "its channel is gone"


async def test_a_group_gets_a_test_at_each_address(engine: HatchetEngine, tenant_id: UUID) -> None:
    def settle() -> None:
        channel = make_channel(
            Tenant.objects.get(id=tenant_id), group("a@acme.test", "b@acme.test")
        )
        try_channel(channel, datetime.now(UTC))

    await made(settle)
    await until_rows(lambda: is_done(tenant_id, "DELIVERED", 2))
    assert sorted(message.to[0] for message in mail.outbox) == ["a@acme.test", "b@acme.test"]
