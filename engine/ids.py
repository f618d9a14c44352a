"""UUIDv7 ids: they sort by creation time, so a range of ids is a range of time (RFC 9562 §5.7)."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from random import getrandbits
from uuid import UUID, SafeUUID

_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_CLOCKS_DIFFER = timedelta(minutes=1)
_LOW_BITS = (1 << 62) - 1
_new, _set = object.__new__, object.__setattr__
_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """Return a UUIDv7 greater than every one this process made before.

    74 bits below the millisecond are random at first and counted up within it, so ids made by one
    process sort in the order they were made.
    """
    global _last
    now_ms = time.time_ns() // 1_000_000
    with _lock:
        floor = now_ms << 74
        if _last < floor:
            _last = floor | (int.from_bytes(os.urandom(10)) & ((1 << 73) - 1))
        else:
            _last += 1 + (getrandbits(8) << 20)
        value = _last
    timestamp, rest = value >> 74, value & ((1 << 74) - 1)
    made = _new(UUID)
    # Its initialiser, which takes an integer for one way of five, would be half of what an id costs.
    number = (timestamp << 80) | _VERSION_AND_VARIANT | ((rest >> 62) << 64) | (rest & _LOW_BITS)
    _set(made, "int", number)
    _set(made, "is_safe", SafeUUID.unknown)
    return made


def id_at(moment: datetime) -> UUID:
    """Return the smallest UUIDv7 of `moment`'s millisecond: a bound for range queries."""
    return UUID(
        int=((int(moment.timestamp() * 1000) & ((1 << 48) - 1)) << 80) | _VERSION_AND_VARIANT
    )


def id_with(timestamp_ms: int, digest: bytes) -> UUID:
    """Return the UUIDv7 of a millisecond with 74 of the bits of `digest` (10 bytes) below it."""
    rest = int.from_bytes(digest) & ((1 << 74) - 1)
    high = (timestamp_ms & ((1 << 48) - 1)) << 80
    return UUID(int=high | _VERSION_AND_VARIANT | ((rest >> 62) << 64) | (rest & _LOW_BITS))


def ids_between(since: datetime | None, until: datetime | None) -> tuple[UUID, UUID]:
    """Return bounds for the ids of rows made from `since` to `until`, whichever machines' clocks made both.

    They narrow a search and do not decide: the row's own time does.
    """
    first, last = UUID(int=0), UUID(int=2**128 - 1)
    if since is not None and since > _FIRST + _CLOCKS_DIFFER:
        first = id_at(since - _CLOCKS_DIFFER)
    if until is not None and until < _LAST - _CLOCKS_DIFFER:
        last = id_at(max(until, _FIRST) + _CLOCKS_DIFFER)
    return first, last


def time_of(uuid7: UUID) -> datetime:
    """Return the UTC creation time, to the millisecond, held in a UUIDv7."""
    return datetime.fromtimestamp((uuid7.int >> 80) / 1000, tz=UTC)


def number_of(uuid7: UUID) -> int:
    """Return a positive 63-bit integer for clients whose schema wants a number beside the id.

    Millisecond timestamp (44 low bits) above 19 of the id's random bits: stable and unique in practice,
    never used to look anything up.
    """
    return (((uuid7.int >> 80) & ((1 << 44) - 1)) << 19) | ((uuid7.int >> 20) & ((1 << 19) - 1))
