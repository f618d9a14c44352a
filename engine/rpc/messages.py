"""Requests as they come off the wire: inflated within a bound, then parsed.

The transport hands compressed messages on as they are: it would inflate them to whatever they come to,
before anybody asked who sent them.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message

from engine.errors import InvalidArgument, ResourceExhausted

Request = TypeVar("Request", bound=Message)

# Gzip and deflate begin so. As tags of messages they would be of a wire type that does not exist, and
# of a number in field 15, which no request has.
_COMPRESSED = (b"\x1f", b"\x78")
END = grpc.aio.EOF  # type: ignore[attr-defined]  # not in the stubs
"""What a call's `read` returns after the last message."""

_EITHER_FORMAT = zlib.MAX_WBITS | 32


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


def inflate(raw: bytes, limit: int) -> bytes:
    """Return a message that may be compressed; what would be larger is never made."""
    if raw[:1] not in _COMPRESSED:
        return raw
    stream = zlib.decompressobj(_EITHER_FORMAT)
    try:
        inflated = stream.decompress(raw, limit + 1)
    except zlib.error:
        raise InvalidArgument("the message cannot be decompressed") from None
    if len(inflated) > limit:
        raise ResourceExhausted(f"the message is larger than {limit} bytes")
    if not stream.eof:
        raise InvalidArgument("the message cannot be decompressed: its end is missing")
    return inflated


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
