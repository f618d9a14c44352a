"""How much of a request's body is taken in before anybody has looked at the request.

Daphne collects the whole body, on disk if it is long, and only then asks the application. So the bounds
are here, where the bytes come in:

- An unknown caller may send little, in little time, and only so many of them may be sending at once;
  one more, and the one who has been sending for longest is refused.
- Whoever shows an API token that we signed, or the cookie of an open session, may send as much as the
  largest message has.
- So may an unknown caller to the address of a webhook, which is known to few, in as little time as others.

Nothing of a body that is too long is kept, and no thread waits for one that comes slowly.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import daphne.server  # noqa: F401  it chooses the reactor, if it comes first
from channels.db import database_sync_to_async
from daphne import http_protocol
from django.conf import settings
from django.db import DatabaseError
from twisted.internet import reactor as installed_reactor

from tenants import token_cache
from tenants.installation import installation
from tenants.rest.errors import error_body
from tenants.sessions import users_of_sessions
from tenants.token_claims import InvalidToken, read_token
from webhooks.large_bodies import is_address, record_too_large

reactor: Any = installed_reactor
UNKNOWN_CALLER_BYTES = 64 * 1024
UNKNOWN_CALLER_SECONDS = 30.0
UNKNOWN_CALLERS_AT_ONCE = 500
LINGER_SECONDS = 5.0
"""How long a refused caller may go on sending: closing at once would destroy the answer on its way."""
IN_MEMORY_BYTES = 128 * 1024
MOST_RECORDS = 20
"""Refusals of webhooks that are being written down at once; more are not."""
_WEBHOOK_PATH = re.compile(
    r"/api/v1/stable/tenants/([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})/webhooks/(.+)"
)
_REASONS = {408: "Request Timeout", 413: "Content Too Large", 503: "Service Unavailable"}

_arriving: dict[BoundedRequest, None] = {}
"""Requests of unknown callers whose bodies are under way, the oldest first."""
_recording: set[asyncio.Task[None]] = set()


def bound_bodies() -> None:
    """Make Daphne use our requests; it takes the class by this name and can be told in no other way."""
    http_protocol.WebRequest = BoundedRequest


class BoundedRequest(http_protocol.WebRequest):  # type: ignore[misc]  # daphne is untyped
    """A request that refuses a body which is too long or too slow while it arrives."""

    def gotLength(self, length: int | None) -> None:
        """Called after the headers; None: the body comes in chunks."""
        self.content = SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115  (Twisted closes it)
        self._received = 0
        self._limit = UNKNOWN_CALLER_BYTES
        self._is_refused = False
        self._asking: asyncio.Task[None] | None = None
        self._timer: Any = None
        if length == 0:
            return
        is_small = length is not None and length <= UNKNOWN_CALLER_BYTES
        if length is not None and length > _most():
            self._limit = _most()
            self._refuse_body()
        elif not is_small and self._shows_token():
            self._limit = _most()
        else:
            self._arrive()
            session_key = None if is_small else self._session_key()
            webhook = None if is_small else self._webhook()
            if webhook is not None:
                self._ask(lambda: is_address(*webhook), length or 0)
            elif session_key is not None:
                self._ask(lambda: bool(users_of_sessions([session_key])), length or 0)
            elif not is_small and length is not None:
                self._refuse_body()

    def handleContentChunk(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._received += len(data)
        if self._received > (self._limit if self._asking is None else _most()):
            self._refuse_body()
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Called when the body is complete."""
        self._stop_waiting()
        if not self._is_refused and self._received > self._limit:  # nobody has answered for it yet
            self._refuse_body()
        if self._is_refused:
            self.channel.loseConnection()
        else:
            super().requestReceived(command, path, version)

    def connectionLost(self, reason: Any) -> None:
        self._stop_waiting()
        super().connectionLost(reason)

    def _arrive(self) -> None:
        """Take a place among the unknown callers, for a while."""
        if len(_arriving) >= UNKNOWN_CALLERS_AT_ONCE:
            next(iter(_arriving))._refuse(503, "too many requests are arriving at once")
        _arriving[self] = None
        self._timer = reactor.callLater(
            UNKNOWN_CALLER_SECONDS, self._refuse, 408, "the body took too long to arrive"
        )

    def _stop_waiting(self) -> None:
        _arriving.pop(self, None)
        timer, self._timer = getattr(self, "_timer", None), None
        if timer is not None and timer.active():
            timer.cancel()
        asking, self._asking = getattr(self, "_asking", None), None
        if asking is not None:
            asking.cancel()

    def _shows_token(self) -> bool:
        """Whether there is an API token of ours. That it was not revoked is asked later, by the view."""
        [header] = self.requestHeaders.getRawHeaders(b"authorization", [b""])[:1]
        scheme, _, token = header.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return False
        try:
            return bool(token_cache.shared.peek(token.strip()) or read_token(token.strip()))
        except InvalidToken:
            return False

    def _session_key(self) -> str | None:
        key = self.received_cookies.get(settings.SESSION_COOKIE_NAME.encode())
        return key.decode("latin-1") if key else None

    def _webhook(self) -> tuple[UUID, str] | None:
        """The tenant and the name of the webhook that something is sent to, if it is."""
        path = self.channel._path.partition(b"?")[0].decode("latin-1")
        found = _WEBHOOK_PATH.fullmatch(path) if self.channel._command == b"POST" else None
        return None if found is None else (UUID(found[1]), unquote(found[2]))

    def _ask(self, is_known: Callable[[], bool], length: int) -> None:
        """Take nothing more in until it is known whether this caller may send much."""
        self.channel._networkProducer.pauseProducing()
        self._asking = asyncio.get_running_loop().create_task(
            self._find_out(is_known, length), name="caller with a long body"
        )

    async def _find_out(self, is_known: Callable[[], bool], length: int) -> None:
        try:
            may_send_much = await database_sync_to_async(is_known)()
        except DatabaseError:
            may_send_much = False
        channel, self._asking = self.channel, None
        if may_send_much:
            if self._webhook() is None:
                self._stop_waiting()
            self._limit = _most()
        if max(self._received, length) > self._limit:
            self._refuse_body()
        channel._networkProducer.resumeProducing()

    def _refuse_body(self) -> None:
        webhook = self._webhook()
        if webhook is not None and self._limit == _most():
            self._record_too_large(*webhook)
        known = "" if self._limit == _most() else "without valid credentials "
        self._refuse(413, f"the body is too large: {known}at most {self._limit} bytes")

    def _record_too_large(self, tenant_id: UUID, name: str) -> None:
        if len(_recording) >= MOST_RECORDS:
            return
        headers = {
            key.decode("latin-1").lower(): values[0].decode("latin-1")
            for key, values in self.requestHeaders.getAllRawHeaders()
        }
        address = getattr(self.channel.transport.getPeer(), "host", "")
        work = database_sync_to_async(record_too_large)(
            tenant_id, name, headers, address, most=_most()
        )
        task = asyncio.get_running_loop().create_task(
            _unless_database_fails(work), name="record of a long body"
        )
        _recording.add(task)
        task.add_done_callback(_recording.discard)

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer at once, and close the connection when the caller has read that, or after a while."""
        self._stop_waiting()
        self._is_refused = True
        self.content.close()
        self.requestHeaders.removeHeader(b"expect")
        body = json.dumps(error_body(status, sentence)).encode()
        self.channel.transport.write(
            f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Cache-Control: private, no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )
        self._timer = reactor.callLater(LINGER_SECONDS, self.channel.transport.abortConnection)


async def _unless_database_fails(work: Awaitable[None]) -> None:
    with suppress(DatabaseError):
        await work


def _most() -> int:
    return installation().grpc_max_message_bytes
