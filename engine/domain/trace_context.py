"""W3C trace contexts of runs: what clients bring in metadata, and what follows from ids where they bring none.

Ids of spans are signed 64-bit integers, as Postgres holds them; those of traces are UUIDs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import orjson

from tenants.json_text import members, with_texts

TRACEPARENT = "traceparent"
# A later version may say more behind what the first one says.
_FORM = re.compile(
    r"(?:00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}"
    r"|(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?)"
)
_LONGEST = 512
_SIGN, _MASK = 1 << 63, (1 << 64) - 1
_OF_RUNS, _OF_EVENTS = 0x2545F4914F6CDD1D, 0x5851F42D4C957F2D
_BROUGHT = re.compile(
    rb'(?<!\\)"traceparent"\s*:\s*"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"'
)


class TraceContext(NamedTuple):
    """A trace and the span in it that what follows is a child of."""

    trace_id: UUID
    span_id: int

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id.hex}-{span_hex(self.span_id)}-01"


def span_hex(span_id: int) -> str:
    return f"{span_id & _MASK:016x}"


def span_of_hex(text: str) -> int:
    return _signed(int(text, 16))


def _signed(number: int) -> int:
    return number - (1 << 64) if number & _SIGN else number


def parse_traceparent(text: str) -> TraceContext | None:
    """Return what a `traceparent` says, None if it is not valid."""
    found = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    trace_hex, own_hex = found[1] or found[3], found[2] or found[4]
    context = TraceContext(UUID(hex=trace_hex), span_of_hex(own_hex))
    return context if context.trace_id.int and context.span_id else None


def context_in(values: Mapping[str, str]) -> TraceContext | None:
    """Return what metadata bring, whose values are the texts of JSON documents."""
    text = values.get(TRACEPARENT, "")
    if not text.startswith('"') or len(text) > _LONGEST:
        return None
    brought: str = orjson.loads(text)
    return parse_traceparent(brought)


def brought_context(metadata: str | bytes | None) -> TraceContext | None:
    """Return what the text of an object of metadata brings."""
    if metadata is None:
        return None
    source = metadata if isinstance(metadata, bytes) else metadata.encode()
    # Letters of a key may be written as escapes.
    if b"traceparent" not in source and b"\\u" not in source:
        return None
    return context_in(members(source))


def derived_context(run_id: UUID, event_id: UUID | None) -> TraceContext:
    """Return the context of a run that brings none: of its event, if it has one, or its own."""
    if event_id is not None:
        return TraceContext(event_id, event_span(event_id))
    return TraceContext(run_id, run_span(run_id))


def with_traceparent(metadata: bytes | None, run_id: UUID, event_id: UUID | None) -> bytes:
    """Return metadata as a worker gets them: with the context they bring, or with the one that follows.

    Every START pays for it: documents are taken apart only where they say something of a trace.
    """
    if metadata is not None and (b"traceparent" in metadata or b"\\u" in metadata):
        if _is_plainly_traced(metadata) or brought_context(metadata) is not None:
            return metadata
        return with_texts(metadata, {TRACEPARENT: derived_context(run_id, event_id).traceparent})
    pair = b'{"traceparent":"%s"' % derived_context(run_id, event_id).traceparent.encode()
    if metadata is None:
        return pair + b"}"
    rest = metadata.lstrip()[1:].lstrip()
    return pair + (b"" if rest.startswith(b"}") else b",") + rest


def _is_plainly_traced(metadata: bytes) -> bool:
    """Whether they bring a context, seen at a glance: no object in them, and no second such key."""
    is_flat = metadata.count(b"{") == 1 and metadata.count(b"traceparent") == 1
    return is_flat and _BROUGHT.search(metadata) is not None


def context_of_child(parent: TraceContext, task_id: UUID, retry_count: int) -> TraceContext:
    """Return the context of what an attempt spawns without saying anything of a trace."""
    return TraceContext(parent.trace_id, attempt_span(task_id, retry_count))


# The engine's own spans have ids that follow from what they are about, so nobody needs to keep them. The low half
# of a UUIDv7 is unique by itself.


def run_span(run_id: UUID) -> int:
    return _signed((run_id.int & _MASK) ^ _OF_RUNS)


def event_span(event_id: UUID) -> int:
    return _signed((event_id.int & _MASK) ^ _OF_EVENTS)


def attempt_span(task_id: UUID, retry_count: int, part: int = 0) -> int:
    """The span of an attempt at work; `part` numbers what interruptions make of it."""
    return _digest(b"work", task_id, retry_count, part)


def waiting_span(task_id: UUID, retry_count: int, part: int, name: str) -> int:
    return _digest(name.encode(), task_id, retry_count, part)


def _digest(kind: bytes, about: UUID, *numbers: int) -> int:
    text = b"%s:%s:%s" % (kind, about.bytes, b":".join(b"%d" % number for number in numbers))
    return int.from_bytes(blake2b(text, digest_size=8).digest(), signed=True)
