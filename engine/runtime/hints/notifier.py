"""Hints in and out: one LISTEN connection, and NOTIFYs sent after commits, coalesced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import psycopg

from engine import telemetry
from engine.errors import Unavailable
from engine.runtime.loops.outages import Outage, is_outage
from engine.store.async_db import AsyncDatabase
from engine.store.changes import Changes
from engine.store.hints import (
    ENGINE_CHANNEL,
    LIVE_CHANNEL,
    MAX_LIVE_RUNS,
    Hint,
    hello,
    live_message,
    notify,
    parse,
)
from engine.store.leases import be_present
from engine.store.query import statements

log = logging.getLogger("hatchet.notifier")

_LIVE_INTERVAL_SECONDS = 0.1
_RECONNECT_SECONDS = 1.0
_QUIET_CHECK_SECONDS = 60.0


class Notifier:
    """Sends hints to other engines and to open dashboards."""

    def __init__(self, database: AsyncDatabase, engine_id: UUID) -> None:
        self._database = database
        self._engine_id = engine_id
        self._hints: list[Hint] = []
        self._live: dict[UUID, tuple[dict[UUID, None], set[str]]] = {}
        self._wake = asyncio.Event()
        self._met: set[UUID] = set()
        self.has_peers = False
        """Whether there may be another engine; without one hints are not sent."""

    @property
    def engines_met(self) -> int:
        """How many others have said something; a number that grows."""
        return len(self._met)

    def meet(self, engine_id: UUID) -> None:
        """Another engine is there: from now on it is sent hints."""
        self.has_peers = True
        self._met.add(engine_id)

    def hint(self, hint: Hint) -> None:
        if self.has_peers:
            hint.sender = self._engine_id
            self._hints.append(hint)
            self._wake.set()

    async def say_hello(self) -> None:
        """Have engines that think they are alone send us hints from now on."""
        await self._database.fetch(notify([(ENGINE_CHANNEL, hello(self._engine_id).decode())]))

    def touch(self, tenant_id: UUID, topic: str, run_id: UUID | None = None) -> None:
        """Note that something of a tenant looks different now."""
        runs, topics = self._live.setdefault(tenant_id, ({}, set()))
        topics.add(topic)
        if run_id and len(runs) <= MAX_LIVE_RUNS:
            runs[run_id] = None
        self._wake.set()

    def touch_pages(self, changes: Changes) -> None:
        for tenant_id, run_id in changes.touched:
            self.touch(tenant_id, "runs", run_id)
        for tenant_id, topic in changes.pages:
            self.touch(tenant_id, topic)

    async def run(self) -> None:
        """Send what has gathered, at most every tenth of a second."""
        outage = Outage("hints", "hints were not sent")
        while True:
            await self._wake.wait()
            self._wake.clear()
            counts = {"hints": len(self._hints), "live": len(self._live)}
            try:
                await self._database.fetch(notify(self._take()))
                telemetry.emit("hint.sent", counts)
                outage.end()
            except Exception as error:
                if is_outage(error):
                    outage.note(error)
                else:
                    log.exception("hints were not sent")
            if not self._hints:
                await asyncio.sleep(_LIVE_INTERVAL_SECONDS)

    def _take(self) -> list[tuple[str, str]]:
        hints, self._hints = self._hints, []
        live, self._live = self._live, {}
        messages = [
            (ENGINE_CHANNEL, message.decode()) for hint in hints for message in hint.messages()
        ]
        messages += [
            (LIVE_CHANNEL, live_message(tenant_id, list(runs), sorted(topics)))
            for tenant_id, (runs, topics) in live.items()
        ]
        return messages


class Listener:
    """Hands every notification of some channels to a callback; reconnects for ever.

    Its session is also what tells other engines that this one is there.
    """

    def __init__(
        self,
        conninfo: str,
        engine_id: UUID,
        callbacks: dict[str, Callable[[str], None]],
        on_reconnect: Callable[[], Awaitable[None]],
    ) -> None:
        self._conninfo, self._engine_id = conninfo, engine_id
        self._callbacks = callbacks
        self._on_reconnect = on_reconnect
        self._on_deaf: Callable[[], None] = lambda: None

    def add(
        self, callbacks: Mapping[str, Callable[[str], None]], on_deaf: Callable[[], None]
    ) -> None:
        """Listen to further channels; to be called before `run`."""
        self._callbacks |= callbacks
        self._on_deaf = on_deaf

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except (Unavailable, psycopg.Error, OSError) as error:
                lost = {"engine_id": self._engine_id, "error": error}
                telemetry.emit("listener.lost", {}, lost)
            self._on_deaf()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._conninfo, autocommit=True, application_name="hatchet-engine-listen"
        )
        async with connection:
            present = be_present(self._engine_id)
            await connection.execute(statements()[present.name], present.params)
            for channel in self._callbacks:
                await connection.execute(psycopg.sql.SQL("LISTEN {}").format(_name(channel)))
            await self._on_reconnect()
            telemetry.emit("listener.connected", {}, {"engine_id": self._engine_id})
            while True:
                async for notification in connection.notifies(timeout=_QUIET_CHECK_SECONDS):
                    try:
                        self._callbacks[notification.channel](notification.payload)
                    except Exception:
                        log.exception("a hint could not be acted on")


def _name(channel: str) -> psycopg.sql.Identifier:
    return psycopg.sql.Identifier(channel)


def parse_hint(payload: str, engine_id: UUID) -> Hint | None:
    """Return a hint from another process; None for our own and for what is no hint."""
    try:
        hint = parse(payload)
    except (ValueError, KeyError, TypeError):
        log.warning("ignored a malformed hint")
        return None
    return None if hint.sender == engine_id else hint
