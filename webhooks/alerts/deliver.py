"""Looks, tells and sends, in every engine: which of them does what, the rows say.

A rule that is due is taken by one engine, which moves the time of the next look. Messages are claimed for longer
than an attempt may last, as those to endpoints are.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from django.conf import settings

from engine.errors import Unavailable
from engine.ids import id_at, new_id
from engine.store.async_db import AsyncDatabase
from tenants import mail
from tenants.limits import enforced
from webhooks import encryption
from webhooks.alert_models import AlertEvent, ChannelKind, NotificationState
from webhooks.alerts import look, store
from webhooks.alerts.store import Claimed, Pulse, RuleRow
from webhooks.alerts.texts import Telling
from webhooks.outgoing.answered import Answered
from webhooks.outgoing.schedule import LONGEST_HOLD, next_attempt

if TYPE_CHECKING:
    from webhooks.outgoing.post import Poster

log = logging.getLogger("hatchet.alerts")

LOOK_EVERY = timedelta(seconds=30)
"""At each rule."""
KEPT = timedelta(days=90)
"""How long alerts that ended, and messages about alerts, are kept."""
CLAIM = timedelta(seconds=60)
MOST_AT_ONCE = 32
MOST_OF_EACH = 4
"""Messages under way by one channel, in each engine."""
_RULES_AT_ONCE = 50
_TOLD_AT_ONCE = 100
_SWEPT_AT_ONCE = 1_000
_SWEPT_EVERY = timedelta(minutes=10)
_FAILURES_EVERY = timedelta(minutes=1)
_LIMITS_EVERY = timedelta(minutes=1)
_TOKENS_EVERY = timedelta(minutes=10)
_INTERVAL_SECONDS = 5.0
_IDLE_SECONDS = 15.0
"""While there are no channels and nothing is to be told."""
_CLOSING_SECONDS = 5.0


class Alerter:
    """One engine's share of the alerting."""

    name = "alerts"

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._poster: Poster | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._busy: Counter[UUID] = Counter()
        self._woken = asyncio.Event()
        self._is_idle = False
        now = datetime.now(UTC)
        self._failures_at = self._tokens_at = self._limits_at = now
        self._sweep_at = now + _SWEPT_EVERY * random.random()

    async def tick(self) -> bool:
        self._woken.clear()
        now = datetime.now(UTC)
        [pulse] = await self._database.fetch(store.pulse(now))
        has_looked, has_more = await self._look(pulse, now)
        if has_looked:
            [pulse] = await self._database.fetch(store.pulse(now))
        self._is_idle = not any(pulse)
        if pulse.untold:
            has_more |= await self._tell(now)
        if pulse.untold or pulse.unsent:
            await self._send_due(datetime.now(UTC))
        return await self._sweep(now) or has_more

    async def wait(self) -> None:
        seconds = _IDLE_SECONDS if self._is_idle else _INTERVAL_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds * random.uniform(0.9, 1.1)):
                await self._woken.wait()

    async def close(self) -> None:
        """Give what is under way a moment; what does not end is sent again by another engine."""
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=_CLOSING_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._poster is not None:
            await self._poster.close()

    async def _look(self, pulse: Pulse, now: datetime) -> tuple[bool, bool]:
        """Look at what is due; return whether there was anything, and whether there may be more."""
        rules = await self._take_rules(now) if pulse.rules else []
        for rule in rules:
            await self._look_at(rule)
        has_looked, has_more = bool(rules), len(rules) == _RULES_AT_ONCE
        if pulse.failures or now >= self._failures_at:
            self._failures_at = now + _FAILURES_EVERY
            has_looked = True
            has_more |= await self._database.run(look.look_at_failures(now))
        if now >= self._limits_at:
            self._limits_at = now + _LIMITS_EVERY
            has_looked = True
            await self._database.run(look.look_at_limits(enforced(), now))
        if now >= self._tokens_at:
            self._tokens_at = now + _TOKENS_EVERY
            has_looked = True
            await self._database.run(look.look_at_tokens(now))
        return has_looked, has_more

    async def _take_rules(self, now: datetime) -> list[RuleRow]:
        taking = store.take_rules(_RULES_AT_ONCE, next_at=now + LOOK_EVERY, now=now)
        return await self._database.fetch(taking)

    async def _look_at(self, rule: RuleRow) -> None:
        """A rule that cannot be looked at keeps no other from it."""
        try:
            await self._database.run(look.look_at_rule(rule, datetime.now(UTC)))
        except Unavailable:
            raise
        except Exception:
            log.exception("looking at the alert rule %s failed", rule.id)

    async def _tell(self, now: datetime) -> bool:
        telling = look.tell(
            _TOLD_AT_ONCE, now, mails=mail.is_configured(), server_url=settings.HATCHET.server_url
        )
        return await self._database.run(telling) == _TOLD_AT_ONCE

    async def _send_due(self, now: datetime) -> None:
        room = MOST_AT_ONCE - len(self._sending)
        if room <= 0:
            return
        claim_id = new_id()
        claim = store.claim(
            claim_id,
            self._busy,
            most=MOST_OF_EACH,
            limit=room,
            until=now + CLAIM,
            now=now,
        )
        for claimed in sorted(await self._database.fetch(claim), key=lambda one: one.id):
            if claimed.channel_id is not None:
                self._busy[claimed.channel_id] += 1
            task = asyncio.create_task(self._send(claimed, claim_id))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, claimed: Claimed, claim_id: UUID) -> None:
        try:
            answered = await self._attempt(claimed)
            await self._record(claimed, claim_id, answered)
        except Unavailable:
            pass  # the claim runs out
        except Exception:
            log.exception("sending the message %d about an alert failed", claimed.id)
        finally:
            if claimed.channel_id is not None:
                self._busy -= Counter((claimed.channel_id,))
            self._woken.set()

    async def _attempt(self, claimed: Claimed) -> Answered:
        from webhooks.alerts.channels import send
        from webhooks.outgoing.post import Poster

        if claimed.channel_kind is None:
            return Answered(None, "its channel is gone")
        told: dict[str, Any] = orjson.loads(claimed.channel_settings or "{}")
        try:
            secret = encryption.decrypt(bytes(claimed.secret)) if claimed.secret else ""
        except encryption.SecretUnreadable as error:
            return Answered(None, f"its secret cannot be read: {error}")
        if self._poster is None:
            self._poster = Poster()
        kind = ChannelKind(claimed.channel_kind)
        return await send(self._poster, kind, told, secret, claimed.address, telling_of(claimed))

    async def _record(self, claimed: Claimed, claim_id: UUID, answered: Answered) -> None:
        now = datetime.now(UTC)
        state, due_at = judged(claimed.tries, answered, now, random.random())
        recording = store.record(
            claimed,
            claim_id,
            state=state.value,
            due_at=due_at,
            status=answered.status,
            error=answered.error.replace("\0", ""),
            now=now,
        )
        tenant_ids = await self._database.fetch(recording)
        await self._database.run(look.tell_pages_of(tenant_ids))

    async def _sweep(self, now: datetime) -> bool:
        if now < self._sweep_at:
            return False
        before = now - KEPT
        [swept] = await self._database.fetch(store.sweep(id_at(before), before, _SWEPT_AT_ONCE))
        has_more = _SWEPT_AT_ONCE in swept
        if not has_more:
            self._sweep_at = now + _SWEPT_EVERY
        return has_more


def judged(
    tries: int, answered: Answered, now: datetime, chance: float
) -> tuple[NotificationState, datetime]:
    """Return the state after an attempt and when the next is due; `chance`, from 0 to 1, spreads those."""
    if answered.is_taken:
        return NotificationState.DELIVERED, now
    again = next_attempt(tries + 1, now, chance)
    if again is None:
        return NotificationState.FAILED, now
    if answered.retry_after is None:
        return NotificationState.PENDING, again
    hold = min(timedelta(seconds=answered.retry_after), LONGEST_HOLD)
    return NotificationState.PENDING, max(again, now + hold)


def telling_of(claimed: Claimed) -> Telling:
    """What a message says; without an alert, that its channel works."""
    base = f"{settings.HATCHET.server_url}/t/{claimed.slug}"
    url = f"{base}/alerts" if claimed.alert_id is None else f"{base}/alerts/{claimed.alert_id}"
    return Telling(
        event=AlertEvent(claimed.event),
        tenant_name=claimed.tenant_name,
        alert_id=claimed.alert_id,
        kind=claimed.kind or "",
        rule_name=claimed.rule_name or "none",
        title=claimed.title or "This is a test",
        text=claimed.text or ("" if claimed.alert_id else "Alerts arrive here."),
        url=url,
        page=f"{settings.HATCHET.server_url}{claimed.link}" if claimed.link else url,
        runbook=claimed.runbook or "",
        opened_at=claimed.opened_at or claimed.created_at,
        acknowledged_by=claimed.acknowledged_by or "",
        sent_id=claimed.id,
    )
