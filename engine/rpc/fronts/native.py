"""HTTP/2 in threads outside the interpreter's lock; a grpcio server behind it takes streams of requests.

Nothing bounds a request there, and it is read before its caller is known: docs/performance.md says for whom that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import sleep
from typing import Any, cast

import grpc
from pygrpc_native import STREAM_CLOSED, STREAM_FULL, NativeGrpcFront
from pygrpc_native.aio import Server

from engine.rpc.routes import Routes

_TURNS = 3
"""How often a message is offered again at once: the one before it is mostly on its way by then."""
_FIRST_PAUSE_SECONDS = 0.001
_LONGEST_PAUSE_SECONDS = 0.25
_LINGER_SECONDS = 0.5


def new_server(
    routes: Routes, others: grpc.GenericRpcHandler, options: Sequence[tuple[str, Any]]
) -> grpc.aio.Server:
    server = _Server(options=options)
    server.add_generic_rpc_handlers((routes, others))
    for service, handlers in routes.whole_calls().items():
        server.add_registered_method_handlers(service, handlers)
    return server


class _Server(Server):
    """Waits for slow readers on the loop, and for the last answers to leave."""

    async def stop(self, grace: float | None) -> None:
        if grace and self._front is not None and not self._stopping:
            self._front = cast(NativeGrpcFront, _Lingering(self._front))
        await super().stop(grace)

    async def _send(self, call: Any, context: Any, response: Any) -> bool:
        """Return once the message was taken; there is room for one beside the one on its way.

        CancelledError when the call is over: the original goes on as if the message were sent. And it has
        a thread of the loop's small pool wait for each slow reader: a few clients that do not read
        would keep the messages of all others.
        """
        front, message = self._front, self._encode(call, context, response)
        assert front is not None
        if message is None:
            raise asyncio.CancelledError
        context._initial_sent = True
        offers, pause = 0, _FIRST_PAUSE_SECONDS
        while (taken := front.stream_try_send(call.call_id, message)) == STREAM_FULL:
            offers += 1
            if offers <= _TURNS:
                await asyncio.sleep(0)
                continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        if taken == STREAM_CLOSED:
            raise asyncio.CancelledError
        return True


class _Lingering:
    """Closes a while after it is told to, from a thread.

    It drops what has been answered but is not on the wire, and tells nobody when that is: without the
    pause one in thirty callers that were answered last heard that the server was gone.
    """

    def __init__(self, front: NativeGrpcFront) -> None:
        self._front = front

    def __getattr__(self, name: str) -> Any:
        return getattr(self._front, name)

    def close(self) -> None:
        sleep(_LINGER_SECONDS)
        self._front.close()
