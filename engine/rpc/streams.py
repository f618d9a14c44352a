"""The streams now open, each with the token it was opened with, so that one can be ended with a status."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import grpc

from engine.errors import HatchetError, Unavailable
from engine.rpc.auth import Authenticator
from engine.rpc.errors import Unauthenticated
from engine.runtime.loops.periodic import PeriodicService

Stream = asyncio.Task[Any]
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class OpenStreams:
    """A stream is known by the task that serves it; ending one cancels that task, which finds out why.

    One that is writing ends after that: the transport takes no status while a message is on its way,
    and the client would never be told.
    """

    def __init__(self) -> None:
        self._tokens: dict[Stream, str] = {}
        self._endings: dict[Stream, HatchetError] = {}
        self._writing: set[Stream] = set()
        self._is_closed = False

    def add(self, stream: Stream, token: str) -> None:
        if self._is_closed:
            raise _stopping()
        self._tokens[stream] = token

    async def write(self, stream: Stream, context: Context, response: object) -> None:
        """Send a message; raises what the stream was ended with meanwhile."""
        self._writing.add(stream)
        try:
            await context.write(response)
        finally:
            self._writing.discard(stream)
        if ending := self._endings.get(stream):
            raise ending

    def discard(self, stream: Stream) -> None:
        self._tokens.pop(stream, None)
        self._endings.pop(stream, None)

    def ending_of(self, stream: Stream) -> HatchetError | None:
        """Why we cancelled the stream; None if its client did."""
        return self._endings.get(stream)

    def tokens(self) -> set[str]:
        return set(self._tokens.values())

    def end(self, stream: Stream, error: HatchetError) -> None:
        if stream not in self._endings:
            self._endings[stream] = error
            if stream not in self._writing:
                stream.cancel()

    def end_token(self, token: str, error: HatchetError) -> None:
        for stream, its_token in self._tokens.items():
            if its_token == token:
                self.end(stream, error)

    def close(self) -> None:
        """End every stream, and every later one, with UNAVAILABLE.

        Clients connect again on that status only: some take CANCELLED or a clean end for good.
        """
        self._is_closed = True
        for stream in self._tokens:
            self.end(stream, _stopping())


class TokenWatch(PeriodicService):
    """Ends streams whose token was revoked or has expired since they were opened."""

    name = "token watch"
    interval_seconds = 0.5

    def __init__(self, authenticator: Authenticator, streams: OpenStreams) -> None:
        self._authenticator = authenticator
        self._streams = streams

    async def tick(self) -> bool:
        for token in self._streams.tokens():
            try:
                await self._authenticator.verify(token)
            except Unauthenticated as error:
                self._streams.end_token(token, error)
            except Unavailable:
                continue
        return False


def _stopping() -> Unavailable:
    return Unavailable("the engine is stopping; connect again")
