"""Puts payloads into STARTs that could not be read with their rows, before they are queued for their worker."""

from __future__ import annotations

import asyncio

from engine.domain.payload import left_out_of, mark_reason, with_left_out
from engine.errors import PayloadsAway, Unavailable
from engine.runtime.dispatcher.sessions import ActionSession
from engine.store import sealing
from engine.types import Action
from engine.vault.envelope import Unreadable

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 2.0


async def send_complete(session: ActionSession, action: Action) -> None:
    """Queue an action when its payloads are read; wait for that as long as the stream is open.

    Its attempt fails with a clear error where one cannot be read any more; whoever sends it sees to that.
    """
    pause = _FIRST_PAUSE_SECONDS
    while not session.is_closed:
        try:
            payload = await _complete(action.payload)
        except (PayloadsAway, Unavailable):
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            continue
        session.send_completed(action._replace(payload=payload))
        return


async def _complete(start: bytes) -> bytes:
    sealer = sealing.sealer()
    payloads = []
    for stored in left_out_of(start):
        if sealer is None:
            return mark_reason("The payload is in an object store that is not configured any more.")
        try:
            payloads.append(await sealer.plain_async(stored))
        except Unreadable as error:
            return mark_reason(str(error))
    return with_left_out(start, iter(payloads))
