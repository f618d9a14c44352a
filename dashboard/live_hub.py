"""Live updates: Postgres says what changed, a WebSocket per tab passes on only the topics it watches.

    engine ──NOTIFY──▶ Hub (one LISTEN connection per web process) ──▶ LiveSocket (one per tab)

No content and no permission passes here: a browser that hears of a topic fetches its fragment, and
the view decides what may be seen. A socket lasts as long as the session and the membership it came
with: the hub asks every few seconds, and at once when it hears that somebody signed out.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from contextlib import suppress
from typing import Protocol
from uuid import UUID

import psycopg
from channels.db import database_sync_to_async
from django.db import DatabaseError, connection

from engine.store.hints import LIVE_CHANNEL
from tenants.sessions import ENDED_CHANNEL, Seat, seats_kept

ASK_SECONDS = 5.0
MAX_SOCKETS_PER_SESSION = 50
"""In one process; a tab more is refused, and polls."""
RECONNECT_SECONDS = (0.2, 10.0)
ANY_RUN = "run:*"
"""Said by the hub when too many runs changed to name them: it reaches every watcher of one run."""

logger = logging.getLogger(__name__)


class Socket(Protocol):
    """What the hub knows of a tab."""

    seat: Seat

    def signal(self, topics: set[str]) -> None: ...

    def set_live(self, *, is_live: bool) -> None: ...

    def end(self) -> None:
        """Close: who opened it may not be here any more."""


class Hub:
    """Listens on one dedicated connection while any tab is open, and wakes the tabs concerned."""

    def __init__(self) -> None:
        self._sockets: dict[UUID, set[Socket]] = {}
        self._running: list[asyncio.Task[None]] = []
        self._is_live = False
        self._somebody_left = asyncio.Event()

    def join(self, socket: Socket) -> bool:
        """Take the socket in; False when its session has as many as it may have."""
        key = socket.seat.session_key
        if sum(one.seat.session_key == key for one in self._all()) >= MAX_SOCKETS_PER_SESSION:
            return False
        self._sockets.setdefault(socket.seat.tenant_id, set()).add(socket)
        if not self._running:
            # An event belongs to the loop that first waited for it.
            self._somebody_left = asyncio.Event()
            self._running = [
                asyncio.create_task(self._listen(), name="dashboard live hub"),
                asyncio.create_task(self._keep_asking(), name="dashboard live sessions"),
            ]
        elif self._is_live:
            socket.set_live(is_live=True)
        return True

    async def leave(self, socket: Socket) -> None:
        tenant_id = socket.seat.tenant_id
        sockets = self._sockets.get(tenant_id, set())
        sockets.discard(socket)
        if not sockets:
            self._sockets.pop(tenant_id, None)
        if not self._sockets:
            running, self._running = self._running, []
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _all(self) -> list[Socket]:
        return [socket for sockets in self._sockets.values() for socket in sockets]

    async def _keep_asking(self) -> None:
        """End the sockets of those who signed out, whose session expired, or who may enter no more."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_SECONDS * random.uniform(0.8, 1.2)):
                    await self._somebody_left.wait()
            self._somebody_left.clear()
            asked = self._all()
            try:
                kept = await database_sync_to_async(seats_kept)({one.seat for one in asked})
            except DatabaseError as error:  # nothing is told meanwhile that a socket must not know
                logger.warning("live updates cannot ask for sessions: %s", error)
                continue
            except Exception:  # a bug must not let sockets live on for ever
                logger.exception("live updates failed to ask for sessions")
                continue
            for socket in asked:
                if socket.seat not in kept:
                    socket.end()

    async def _listen(self) -> None:
        """Listen for ever. A lost database is waited for; meanwhile tabs poll."""
        shortest, longest = RECONNECT_SECONDS
        delay = shortest
        while True:
            try:
                await self._listen_once()
            except (psycopg.Error, OSError) as error:
                logger.warning("live updates lost their database connection: %s", error)
            except Exception:  # a bug must not end the updates of every tab
                logger.exception("live updates failed")
            delay = shortest if self._is_live else min(delay * 2, longest)
            self._set_live(is_live=False)
            await asyncio.sleep(delay * random.uniform(0.7, 1.3))

    async def _listen_once(self) -> None:
        parameters = connection.get_connection_params()
        for name in ("cursor_factory", "context", "prepare_threshold"):
            parameters.pop(name, None)
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as listener:
            await listener.execute(f"LISTEN {LIVE_CHANNEL}")
            await listener.execute(f"LISTEN {ENDED_CHANNEL}")
            self._set_live(is_live=True)
            async for notification in listener.notifies():
                if notification.channel == ENDED_CHANNEL:
                    self._somebody_left.set()
                else:
                    self.pass_on(notification.payload)

    def _set_live(self, *, is_live: bool) -> None:
        self._is_live = is_live
        for socket in self._all():
            socket.set_live(is_live=is_live)

    def pass_on(self, payload: str) -> None:
        """Wake the tabs a notification concerns; one that cannot be read concerns nobody."""
        try:
            notification = json.loads(payload)
            tenant_id = UUID(notification["t"])
            topics = {str(topic) for topic in notification.get("topics", ())}
            runs = notification.get("runs")
            named = {f"run:{run_id}" for run_id in runs or ()}
        except (ValueError, KeyError, TypeError, AttributeError):
            logger.warning("unreadable notification on %s: %.200s", LIVE_CHANNEL, payload)
            return
        topics |= named
        if runs is None and "runs" in topics:
            topics.add(ANY_RUN)
        for socket in self._sockets.get(tenant_id, ()):
            socket.signal(topics)


hub = Hub()
