"""A call made of bare HTTP/2 frames: it may claim and compress what no client library would send."""

from __future__ import annotations

import asyncio
import struct
import zlib

from hpack import Decoder

_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0x0, 0x1, 0x3, 0x4
_END_STREAM, _END_HEADERS = 0x1, 0x4
MOST_DATA_BYTES = 65_535
"""More is not taken before the server has made room for it."""
_FRAME_BYTES = 16_384


def zeros(mebibytes: int) -> bytes:
    """Gzipped zeros, of which the whole is never in memory."""
    stream = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    zeroes = bytes(1024 * 1024)
    return b"".join(stream.compress(zeroes) for _ in range(mebibytes)) + stream.flush()


async def answer_to(
    port: int, path: str, message: bytes, token: str, *, claimed_bytes: int | None = None
) -> bytes:
    """Send one gzipped message; return the headers that the server ends the call with."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    claimed = len(message) if claimed_bytes is None else claimed_bytes
    body = struct.pack(">BI", 1, claimed) + message
    assert len(body) <= MOST_DATA_BYTES
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-encoding", "gzip"),
        *([("authorization", f"bearer {token}")] if token else ()),
    ]
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, b""))
    block = b"".join(_literal(name) + _literal(value, b"") for name, value in headers)
    writer.write(_frame(_HEADERS, _END_HEADERS, 1, block))
    for start in range(0, len(body), _FRAME_BYTES):
        part = body[start : start + _FRAME_BYTES]
        is_last = claimed_bytes is None and start + _FRAME_BYTES >= len(body)
        writer.write(_frame(_DATA, _END_STREAM if is_last else 0, 1, part))
    try:
        return await _read_end(reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def _read_end(reader: asyncio.StreamReader) -> bytes:
    """Return names and values of all headers, however the server packs them."""
    told, decoder = b"", Decoder()
    while True:
        length_and_kind, flags, _ = struct.unpack(">IBI", await reader.readexactly(9))
        payload = await reader.readexactly(length_and_kind >> 8)
        kind = length_and_kind & 0xFF
        if kind == _HEADERS:
            told += b"\n".join(b"%b: %b" % pair for pair in decoder.decode(payload, raw=True))
        if kind == _RST_STREAM or (kind in (_HEADERS, _DATA) and flags & _END_STREAM):
            return told


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def _literal(text: str, prefix: bytes = b"\0") -> bytes:
    encoded = text.encode()
    assert len(encoded) < 127, "longer ones are encoded in another way"
    return prefix + bytes([len(encoded)]) + encoded
