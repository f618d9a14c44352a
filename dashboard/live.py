"""Live updates: Postgres says what changed, a WebSocket per tab passes on only the topics it watches.

    engine ──NOTIFY──▶ Hub (one LISTEN connection per web process) ──▶ LiveSocket (one per tab)

No content and no permission passes here: a browser that hears of a topic fetches its fragment, and
the view decides what may be seen.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from contextlib import suppress
from itertools import count
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import connection

from engine.store.hints import LIVE_CHANNEL
from tenants.access import accesses_of_user

MAX_TOPICS = 20
MAX_TOPIC_LENGTH = 80
COALESCE_SECONDS = 1.0
RECONNECT_SECONDS = (0.2, 10.0)
ANY_RUN = "run:*"
"""Said by the hub when too many runs changed to name them: it reaches every watcher of one run."""

logger = logging.getLogger(__name__)


class Hub:
    """Listens on one dedicated connection while any tab is open, and wakes the tabs concerned."""

    def __init__(self) -> None:
        self._sockets: dict[UUID, set[LiveSocket]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._is_live = False

    def join(self, socket: LiveSocket) -> None:
        self._sockets.setdefault(socket.tenant_id, set()).add(socket)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name="dashboard live hub")
        elif self._is_live:
            socket.set_live(is_live=True)

    async def leave(self, socket: LiveSocket) -> None:
        sockets = self._sockets.get(socket.tenant_id, set())
        sockets.discard(socket)
        if not sockets:
            self._sockets.pop(socket.tenant_id, None)
        if not self._sockets and self._listening is not None:
            listening, self._listening = self._listening, None
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

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
            self._set_live(is_live=True)
            async for notification in listener.notifies():
                self.pass_on(notification.payload)

    def _set_live(self, *, is_live: bool) -> None:
        self._is_live = is_live
        for sockets in self._sockets.values():
            for socket in sockets:
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


class LiveSocket(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels is untyped
    """One tab. It says which topics it shows and is told when one of them changed."""

    tenant_id: UUID

    async def connect(self) -> None:
        self._topics: frozenset[str] = frozenset()
        self._waiting: set[str] = set()
        self._sending: asyncio.Task[None] | None = None
        self._revisions = count(1)
        self._state_changed = False
        self._is_live = False
        self._has_joined = False
        tenant_id = await self._tenant_to_enter() if self._is_same_origin() else None
        if tenant_id is None:
            await self.close()
            return
        self.tenant_id = tenant_id
        await self.accept()
        self._has_joined = True
        hub.join(self)

    async def disconnect(self, code: int) -> None:
        if not self._has_joined:
            return
        self._has_joined = False
        if self._sending is not None:
            self._sending.cancel()
        await hub.leave(self)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Take the list of topics; anything else ends the connection."""
        try:
            topics = json.loads(text_data or "")["watch"]
            self._topics = frozenset(
                topic[:MAX_TOPIC_LENGTH] for topic in topics[:MAX_TOPICS] if topic
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            await self.close()

    def signal(self, topics: set[str]) -> None:
        wanted = self._topics & topics
        if ANY_RUN in topics:
            wanted |= {topic for topic in self._topics if topic.startswith("run:")}
        if wanted:
            self._waiting |= wanted
            self._wake()

    def set_live(self, *, is_live: bool) -> None:
        if self._is_live != is_live:
            self._is_live = is_live
            self._state_changed = True
            self._wake()

    def _wake(self) -> None:
        if self._sending is None and self._has_joined:
            self._sending = asyncio.create_task(self._send_soon(), name="dashboard live socket")

    async def _send_soon(self) -> None:
        """Send at once, then hold back what comes within the next second and send that together."""
        try:
            while self._waiting or self._state_changed:
                if self._state_changed:
                    self._state_changed = False
                    await self._tell({"state": "live" if self._is_live else "stale"})
                topics, self._waiting = self._waiting, set()
                for topic in sorted(topics):
                    await self._tell({"topic": topic, "rev": next(self._revisions)})
                if topics:
                    await asyncio.sleep(COALESCE_SECONDS)
        finally:
            self._sending = None

    async def _tell(self, message: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(message))

    def _is_same_origin(self) -> bool:
        headers = dict(self.scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        return bool(host) and urlsplit(origin).netloc == host

    async def _tenant_to_enter(self) -> UUID | None:
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            return None
        slug = self.scope["url_route"]["kwargs"]["slug"]
        accesses = await database_sync_to_async(accesses_of_user)(user)
        return next((one.tenant.id for one in accesses if one.tenant.slug == slug), None)
