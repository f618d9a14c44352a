"""Calls made of bare HTTP/2 frames: they may claim and compress what no client library would send."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from hpack import Decoder

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    *(0x0, 0x1, 0x3, 0x4),
    *(0x6, 0x7, 0x8, 0x9),
)
ACK = 0x1
_END_STREAM, _END_HEADERS = 0x1, 0x4
_INITIAL_WINDOW = 0x4
MOST_DATA_BYTES = 65_535
"""More is not taken before the server has made room for it."""
_FRAME_BYTES = 16_384


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


class Answer(NamedTuple):
    """How the server ended a call, and how much of its request it had taken by then."""

    headers: bytes
    taken_bytes: int


class RawConnection:
    """One connection to the server; call 1 may send data as the server makes room for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._room = MOST_DATA_BYTES
        self._room_of_call = MOST_DATA_BYTES
        self._initial_window = MOST_DATA_BYTES

    def write(self, frame: Frame) -> None:
        head = struct.pack(">IBI", len(frame.payload) << 8 | frame.kind, frame.flags, frame.stream)
        self._writer.write(head + frame.payload)

    def start_call(
        self,
        path: str,
        token: str = "",
        *,
        stream: int = 1,
        further: Sequence[tuple[str, str]] = (),
    ) -> None:
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "test"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *([("authorization", f"bearer {token}")] if token else ()),
            *further,
        ]
        block = b"".join(b"\0" + _literal(name) + _literal(value) for name, value in headers)
        parts = [block[at : at + _FRAME_BYTES] for at in range(0, len(block), _FRAME_BYTES)]
        for number, part in enumerate(parts):
            flags = _END_HEADERS if number == len(parts) - 1 else 0
            self.write(Frame(CONTINUATION if number else HEADERS, flags, stream, part))

    def end_call(self, message: bytes = b"", *, stream: int = 1) -> None:
        """Send the only message, which must fit into what a server takes without being asked."""
        self.write(Frame(DATA, _END_STREAM, stream, framed(message)))

    async def flush(self) -> None:
        await self._writer.drain()

    async def next_frame(self) -> Frame:
        """Raises IncompleteReadError or ConnectionError when the server has closed the connection."""
        head = await self._reader.readexactly(9)
        length_and_kind, flags, stream = struct.unpack(">IBI", head)
        payload = await self._reader.readexactly(length_and_kind >> 8)
        frame = Frame(length_and_kind & 0xFF, flags, stream, payload)
        self._note_room(frame)
        return frame

    async def closed(self) -> None:
        """Return once the server has closed the connection; no ping of it is answered."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self.next_frame()

    async def end_of(self, body: bytes, *, is_whole: bool) -> Answer:
        """Send what call 1 has to say, as far as the server takes it, until the server ends the call."""
        sent, told, decoder = 0, b"", Decoder()
        while True:
            room = min(self._room, self._room_of_call)
            while sent < len(body) and (part := body[sent : sent + min(room, _FRAME_BYTES)]):
                sent += len(part)
                room -= len(part)
                self._room -= len(part)
                self._room_of_call -= len(part)
                is_last = is_whole and sent == len(body)
                self.write(Frame(DATA, _END_STREAM if is_last else 0, 1, part))
            await self.flush()
            frame = await self.next_frame()
            if frame.kind == HEADERS:
                pairs = decoder.decode(frame.payload, raw=True)
                told += b"\n".join(b"%b: %b" % pair for pair in pairs)
            if frame.kind == RST_STREAM or (
                frame.kind in (HEADERS, DATA) and frame.flags & _END_STREAM
            ):
                return Answer(told, sent)

    def _note_room(self, frame: Frame) -> None:
        if frame.kind == WINDOW_UPDATE:
            more = int.from_bytes(frame.payload)
            if frame.stream:
                self._room_of_call += more
            else:
                self._room += more
        if frame.kind == SETTINGS and not frame.flags & ACK:
            for name, value in struct.iter_unpack(">HI", frame.payload):
                if name == _INITIAL_WINDOW:
                    self._room_of_call += value - self._initial_window
                    self._initial_window = value
            self.write(Frame(SETTINGS, ACK, 0, b""))


@asynccontextmanager
async def raw_connection(port: int) -> AsyncIterator[RawConnection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    connection = RawConnection(reader, writer)
    connection.write(Frame(SETTINGS, 0, 0, b""))
    try:
        yield connection
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def answer_to(
    port: int,
    path: str,
    message: bytes,
    token: str,
    *,
    claimed_bytes: int | None = None,
    is_gzip: bool = True,
) -> Answer:
    """Send one message; return what the server ends the call with."""
    body = framed(message, claimed_bytes, is_compressed=is_gzip)
    async with raw_connection(port) as connection:
        further = [("grpc-encoding", "gzip")] if is_gzip else []
        connection.start_call(path, token, further=further)
        return await connection.end_of(body, is_whole=claimed_bytes is None)


def framed(
    message: bytes, claimed_bytes: int | None = None, *, is_compressed: bool = False
) -> bytes:
    claimed = len(message) if claimed_bytes is None else claimed_bytes
    return struct.pack(">BI", is_compressed, claimed) + message


def zeros(mebibytes: int) -> bytes:
    """Gzipped zeros, of which the whole is never in memory."""
    stream = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    zeroes = bytes(1024 * 1024)
    return b"".join(stream.compress(zeroes) for _ in range(mebibytes)) + stream.flush()


def _literal(text: str) -> bytes:
    """A string, one byte a character, after its length, of which 7 bits fit into the first byte."""
    encoded = text.encode("latin-1")
    rest = len(encoded) - 127
    if rest < 0:
        return bytes([len(encoded)]) + encoded
    length = bytearray([127])
    while rest >= 128:
        length.append(rest % 128 | 128)
        rest //= 128
    return bytes([*length, rest]) + encoded
