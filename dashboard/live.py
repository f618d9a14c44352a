"""The WebSocket of one tab; see `live_hub` for what it is told, and how long it lasts."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from dashboard.live_hub import ANY_RUN, hub
from tenants.access import accesses_of_user
from tenants.origins import is_foreign
from tenants.sessions import Seat

MAX_TOPICS = 20
MAX_TOPIC_LENGTH = 80
MAX_MESSAGE_LENGTH = 8192
COALESCE_SECONDS = 1.0
CLOSE_SIGNED_OUT = 4401
CLOSE_TOO_MANY = 4429


class LiveSocket(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels is untyped
    """One tab. It says which topics it shows and is told when one of them changed."""

    seat: Seat

    async def connect(self) -> None:
        self._topics: frozenset[str] = frozenset()
        self._waiting: set[str] = set()
        self._sending: asyncio.Task[None] | None = None
        self._revisions = count(1)
        self._state_changed = False
        self._is_live = False
        self._has_joined = False
        self._ending: asyncio.Task[None] | None = None
        tenant_id = None if self._is_foreign() else await self._tenant_to_enter()
        if tenant_id is None:
            await self.close()
            return
        self.seat = Seat(self.scope["session"].session_key, tenant_id)
        await self.accept()
        self._has_joined = True
        if not hub.join(self):
            self._has_joined = False
            await self.close(code=CLOSE_TOO_MANY)

    async def disconnect(self, code: int) -> None:
        await self._leave()

    def end(self) -> None:
        if self._ending is None and self._has_joined:
            self._ending = asyncio.create_task(self._end(), name="dashboard live socket ends")

    async def _end(self) -> None:
        await self._leave()
        await self.close(code=CLOSE_SIGNED_OUT)

    async def _leave(self) -> None:
        if not self._has_joined:
            return
        self._has_joined = False
        if self._sending is not None:
            self._sending.cancel()
        await hub.leave(self)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Take the list of topics; anything else ends the connection."""
        try:
            if len(text_data or "") > MAX_MESSAGE_LENGTH:
                raise ValueError("too long for a list of topics")
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

    def _is_foreign(self) -> bool:
        headers = {name: value.decode("latin-1") for name, value in self.scope["headers"]}
        return is_foreign(
            headers.get(b"origin"),
            headers.get(b"sec-fetch-site"),
            scheme="https" if self.scope.get("scheme") == "wss" else "http",
            host=headers.get(b"host", ""),
        )

    async def _tenant_to_enter(self) -> UUID | None:
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            return None
        slug = self.scope["url_route"]["kwargs"]["slug"]
        accesses = await database_sync_to_async(accesses_of_user)(user)
        return next((one.tenant.id for one in accesses if one.tenant.slug == slug), None)
