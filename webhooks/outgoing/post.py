"""Requests to addresses that other people name: one POST, no redirects, bounded in time and size.

aiohttp makes them: the official SDK brings it anyway, and it lets us make the socket of each address that a
name was resolved to, so that what is judged is what is connected to, while TLS and Host keep the name.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from django.conf import settings

from webhooks.outgoing.answered import Answered
from webhooks.outgoing.targets import is_open

TOTAL_SECONDS = 20.0
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 5.0
SNIPPET_BYTES = 1_000
LONGEST_ERROR = 500
_MOST_AT_ONCE = 64
_HEADERS = {"content-type": "application/json", "user-agent": "Hatchet-Webhooks/1.0"}


class TargetClosed(OSError):
    """An address that may not be connected to."""


class Poster:
    """Sends. To be made, used and closed in one event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answered:
        """Send one request. Whatever goes wrong is told in what is returned."""
        started = time.monotonic()
        try:
            answer = await self._post(url, headers, body)
        except TimeoutError:
            error = f"no answer within {TOTAL_SECONDS:.0f} seconds"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = _said_of(failure)
        else:
            status, snippet, retry_after = answer
            error = "" if 200 <= status < 300 else f"answered {status}"
            seconds = time.monotonic() - started
            return Answered(status, error, snippet, seconds, retry_after)
        return Answered(None, error, seconds=time.monotonic() - started)

    async def _post(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str, float | None]:
        async with self._opened().post(
            url, data=body, headers=_HEADERS | dict(headers), allow_redirects=False
        ) as response:
            snippet = await _snippet_of(response)
            return response.status, snippet, _retry_after(response.headers.get("retry-after"))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_MOST_AT_ONCE, use_dns_cache=False, socket_factory=_socket_to
                ),
                timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=_CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def _socket_to(address: Any) -> socket.socket:
    """Make the socket of one address that a name was resolved to, if it may be connected to."""
    family, kind, protocol, _, target = address
    if not is_open(str(target[0]), settings.HATCHET.webhooks_allowed_networks):
        raise TargetClosed(f"{target[0]} is a private or local address, which is not allowed")
    return socket.socket(family, kind, protocol)


async def _snippet_of(response: aiohttp.ClientResponse) -> str:
    """Return the beginning of the answer. An endpoint that is slow with the rest has answered."""
    kept = b""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            while len(kept) < SNIPPET_BYTES:
                part = await response.content.read(SNIPPET_BYTES - len(kept))
                if not part:
                    break
                kept += part
    except (TimeoutError, aiohttp.ClientError):
        pass
    if not response.content.at_eof():
        response.close()
    return kept.decode(errors="replace")


def _retry_after(said: str | None) -> float | None:
    """The seconds of a Retry-After header, which may also be a date."""
    if said is None:
        return None
    if said.isascii() and said.isdigit() and len(said) < 10:
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _said_of(failure: Exception) -> str:
    """Say what went wrong in words that do not depend on the library."""
    cause = getattr(failure, "os_error", None) or failure
    return (str(cause) or type(cause).__name__)[:LONGEST_ERROR]
