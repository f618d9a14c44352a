"""Has large payloads stored as objects before the batch begins in which their rows are written.

So a store that is slow, or away, holds up those who need it and nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.errors import PayloadsAway, ResourceExhausted
from engine.runtime.loops.outages import PATIENCE_SECONDS
from engine.store.sealed_columns import Payload
from engine.store.sealing import Sealer

MOST_WAITING = 200
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 2.0
_waiting = 0


async def keep_large(sealer: Sealer, payloads: Sequence[Payload]) -> None:
    """Return when those of these payloads that are to be objects are.

    PayloadsAway: the store was away for PATIENCE_SECONDS; nothing was written, and the call may be made
    again. ResourceExhausted: too many wait for the store already.
    """
    global _waiting
    if _waiting >= MOST_WAITING:
        raise ResourceExhausted(
            "too many large payloads wait for the object store; try again later"
        )
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + PATIENCE_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    _waiting += 1
    try:
        while True:
            try:
                return await sealer.keep_large(payloads)
            except PayloadsAway:
                if loop.time() > give_up_at:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
    finally:
        _waiting -= 1
