"""A tab's WebSocket without a browser: as much of RFC 6455 as short texts need."""

from __future__ import annotations

import base64
import json
import os
import socket
from typing import Any

TEXT, CLOSE = 0x1, 0x8
SECONDS = 120.0


class LiveSocket:
    """Opens the page's socket with a session, and watches topics."""

    def __init__(self, server_url: str, slug: str, cookie: str, *topics: str) -> None:
        host = server_url.removeprefix("http://")
        name, _, port = host.rpartition(":")
        self._socket = socket.create_connection((name, int(port)), SECONDS)
        self.local_port: int = self._socket.getsockname()[1]
        self._stream = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET /t/{slug}/live HTTP/1.1",
            f"Host: {host}",
            f"Origin: {server_url}",
            f"Cookie: {cookie}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        status = self._stream.readline()
        assert b" 101 " in status, status
        while self._stream.readline().strip():
            pass
        self._send(json.dumps({"watch": topics}).encode())

    def wait_for(self, **wanted: str) -> None:
        """Read until a message says this."""
        while True:
            message = self._receive()
            if wanted.items() <= message.items():
                return

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _send(self, text: bytes) -> None:
        mask = os.urandom(4)
        assert len(text) < 126
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
        self._socket.sendall(bytes([0x80 | TEXT, 0x80 | len(text)]) + mask + masked)

    def _receive(self) -> dict[str, Any]:
        while True:
            kind, length = self._stream.read(2)
            assert length < 126
            payload = self._stream.read(length)
            assert kind & 0xF != CLOSE, payload
            if kind & 0xF == TEXT:
                message: dict[str, Any] = json.loads(payload)
                return message
