"""Spans of unary calls, as far as anybody listens to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from engine import telemetry
from engine.rpc.errors import refused_as
from engine.rpc.streams import Context

Received = TypeVar("Received")
Answer = TypeVar("Answer")
_Call = Callable[[Received, Context], Awaitable[Answer]]


def spanned(method: str, call: _Call[Received, Answer]) -> _Call[Received, Answer]:
    """Return the call as it is unless somebody listens when the server is made: a span costs a microsecond."""
    if not telemetry.is_heard("grpc.answered"):
        return call

    async def answer(received: Received, context: Context) -> Answer:
        given = {"method": method, "traceparent": _traceparent(context)}
        with telemetry.span("grpc.answered", given) as span:
            try:
                return await call(received, context)
            finally:
                # Each call is a task of its own, so this is how it was refused and no other.
                span.metadata["code"] = refused_as.get()

    return answer


def _traceparent(context: Context) -> str:
    metadata: Any = context.invocation_metadata() or ()
    return next((value for key, value in metadata if key == "traceparent"), "")
