"""Makes compressed data whole again, within a bound: what would be larger is never made."""

from __future__ import annotations

import zlib

from engine.errors import InvalidArgument, ResourceExhausted

# Gzip and deflate begin so. As tags of messages they would be of a wire type that does not exist, and
# of a number in field 15, which no request has.
_COMPRESSED = (b"\x1f", b"\x78")

_EITHER_FORMAT = zlib.MAX_WBITS | 32


def inflate(raw: bytes, limit: int) -> bytes:
    """Return a message that may be compressed. ResourceExhausted if it comes to more than `limit` bytes."""
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
