"""Answers that are streamed wait for whoever reads them; Daphne would collect what is not read in memory."""

from __future__ import annotations

import asyncio
from typing import Any

from daphne import server
from daphne.http_protocol import WebRequest

PATIENCE_SECONDS = 60.0
"""How long a reader may take nothing at all before the connection is closed."""


class Flow:
    """Told by the connection when it has enough to send, and when it can take more."""

    def __init__(self) -> None:
        self._may_send = asyncio.Event()
        self._may_send.set()

    def pauseProducing(self) -> None:
        self._may_send.clear()

    def resumeProducing(self) -> None:
        self._may_send.set()

    def stopProducing(self) -> None:
        self._may_send.set()

    async def wait(self) -> None:
        await self._may_send.wait()


def wait_for_readers() -> None:
    """Make Daphne's servers send like this; they can be told in no other way."""
    server.Server.handle_reply = send


_send_at_once = server.Server.handle_reply


async def send(self: server.Server, protocol: Any, message: dict[str, Any]) -> None:
    """Send a part of an answer; come back when there is room for the next one."""
    if not isinstance(protocol, WebRequest) or message["type"] != "http.response.body":
        await _send_at_once(self, protocol, message)
        return
    has_more, channel = message.get("more_body", False), getattr(protocol, "channel", None)
    if channel is not None:
        if has_more and protocol.producer is None:
            protocol.registerProducer(Flow(), True)
        elif not has_more and protocol.producer is not None:
            protocol.unregisterProducer()
    await _send_at_once(self, protocol, message)
    if channel is not None and has_more:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await protocol.producer.wait()
        except TimeoutError:
            channel.transport.abortConnection()
