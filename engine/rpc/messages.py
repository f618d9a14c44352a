"""Requests as they come off the wire: inflated within a bound, then parsed.

The transport hands compressed messages on as they are: it would inflate them to whatever they come to,
before anybody asked who sent them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message

from engine.errors import InvalidArgument
from engine.inflate import inflate

Request = TypeVar("Request", bound=Message)

END = grpc.aio.EOF  # type: ignore[attr-defined]  # not in the stubs
"""What a call's `read` returns after the last message."""


class Parser(Generic[Request]):
    """Reads the requests of one method, none of which may come to more than `limit` bytes."""

    def __init__(self, parse: Callable[[bytes], Request], limit: int) -> None:
        self._parse, self._limit = parse, limit

    def __call__(self, raw: bytes) -> Request:
        """InvalidArgument for what is no such message; ResourceExhausted for what is too large."""
        try:
            return self._parse(inflate(raw, self._limit))
        except DecodeError:
            raise InvalidArgument("the message cannot be parsed") from None


async def messages_of(context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[bytes]:
    """The messages of a call as they come. The transport's own iterator would keep the last for long."""
    while True:
        try:
            message = await context.read()
        except grpc.aio.UsageError:  # the call is over
            return
        if message is END:
            return
        yield message


async def first_message(context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
    """Return the only message of a call. InvalidArgument if there is none."""
    message = await context.read()
    if message is END:
        raise InvalidArgument("the call has no message")
    return cast(bytes, message)
