"""Sends messages to endpoints, in every engine: which of them sends what, the rows say.

What is due is claimed for longer than an attempt may last. An engine that dies after it has sent something
and before it has written that down leaves a claim that runs out: then it is sent again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from engine.errors import Unavailable
from engine.ids import new_id
from engine.store.async_db import AsyncDatabase
from webhooks import encryption
from webhooks.outgoing import store
from webhooks.outgoing.answered import Answered
from webhooks.outgoing.gather import gather
from webhooks.outgoing.record import outcome_of, record_attempts
from webhooks.outgoing.signing import signed_headers
from webhooks.outgoing.store import Claimed, Outcome

if TYPE_CHECKING:
    from webhooks.outgoing.post import Poster

log = logging.getLogger("hatchet.webhooks")

CLAIM = timedelta(seconds=60)
MOST_AT_ONCE = 64
MOST_OF_EACH = 8
"""Attempts under way to one endpoint, in each engine."""
_GATHERED_AT_ONCE = 200
_SILENCE_EVERY = timedelta(seconds=5)
_INTERVAL_SECONDS = 1.0
_IDLE_SECONDS = 5.0
"""Between looks for an endpoint while there is none."""
_CLOSING_SECONDS = 5.0


class Deliverer:
    """One engine's share of the sending."""

    name = "outgoing webhooks"

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._poster: Poster | None = None
        self._posting: set[asyncio.Task[None]] = set()
        self._busy: Counter[UUID] = Counter()
        self._outcomes: list[Outcome] = []
        """Of attempts that are over and not yet written down."""
        self._recording = asyncio.Lock()
        self._woken = asyncio.Event()
        self._has_work = False
        self._silence_at = datetime.now(UTC)

    async def tick(self) -> bool:
        self._woken.clear()
        await self._record()
        [self._has_work] = await self._database.fetch(store.has_work())
        if not self._has_work:
            return False
        now = datetime.now(UTC)
        looks = now >= self._silence_at
        if looks:
            self._silence_at = now + _SILENCE_EVERY
        gathered = await self._database.run(gather(_GATHERED_AT_ONCE, now, looks_for_silence=looks))
        await self._send_due(datetime.now(UTC))
        return gathered == _GATHERED_AT_ONCE

    async def wait(self) -> None:
        seconds = _INTERVAL_SECONDS if self._has_work else _IDLE_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds * random.uniform(0.9, 1.1)):
                await self._woken.wait()

    async def close(self) -> None:
        """Give what is under way a moment; what does not end is sent again by another engine."""
        if self._posting:
            _, late = await asyncio.wait(self._posting, timeout=_CLOSING_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._poster is not None:
            await self._poster.close()

    async def _send_due(self, now: datetime) -> None:
        room = MOST_AT_ONCE - len(self._posting)
        if room <= 0:
            return
        claim_id = new_id()
        claim = store.claim(
            claim_id,
            self._busy,
            most_of_each=MOST_OF_EACH,
            limit=room,
            until=now + CLAIM,
            now=now,
        )
        for claimed in sorted(await self._database.fetch(claim), key=lambda one: one.position):
            self._busy[claimed.endpoint_id] += 1
            task = asyncio.create_task(self._send(claimed, claim_id))
            self._posting.add(task)
            task.add_done_callback(self._posting.discard)

    async def _send(self, claimed: Claimed, claim_id: UUID) -> None:
        try:
            answered = await self._attempt(claimed)
            now = datetime.now(UTC)
            self._outcomes.append(outcome_of(claimed, claim_id, answered, now, random.random()))
            await self._record()
        except Unavailable:
            pass  # the next tick writes it down, or the claim runs out
        except Exception:
            log.exception("sending a message to the endpoint %s failed", claimed.endpoint_id)
        finally:
            self._busy -= Counter((claimed.endpoint_id,))
            self._woken.set()

    async def _attempt(self, claimed: Claimed) -> Answered:
        now = datetime.now(UTC)
        body = bytes(claimed.body)
        try:
            headers = signed_headers(claimed.message_id, body, secrets_of(claimed, now), now)
        except encryption.SecretUnreadable as error:
            return Answered(None, f"its secret cannot be read: {error}")
        if self._poster is None:
            from webhooks.outgoing.post import Poster

            self._poster = Poster()
        return await self._poster.post(claimed.url, headers, body)

    async def _record(self) -> None:
        """Write down what is over, that of others too: who waits meanwhile finds nothing left to do."""
        async with self._recording:
            outcomes, self._outcomes = self._outcomes, []
            if not outcomes:
                return
            try:
                await self._database.run(record_attempts(outcomes, datetime.now(UTC)))
            except Unavailable:
                self._outcomes = outcomes + self._outcomes
                raise


def secrets_of(claimed: Claimed, now: datetime) -> list[str]:
    """Return what signs: during a rotation also the secret before."""
    secrets = [encryption.decrypt(bytes(claimed.secret))]
    previous, expires_at = claimed.previous_secret, claimed.previous_expires_at
    if previous is not None and expires_at is not None and now < expires_at:
        secrets.append(encryption.decrypt(bytes(previous)))
    return secrets
