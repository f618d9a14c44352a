"""Services that anybody may call: health and reflection, whose requests are short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, TypeAlias, cast

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from engine.errors import HatchetError, InvalidArgument, ResourceExhausted
from engine.rpc.errors import refusal_of
from engine.rpc.messages import END, Parser

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_LONGEST_REQUEST_BYTES = 4_096
# The transport lets each message grow as large as any: that many at once, and none for long.
_MOST_READ_AT_ONCE = 8
_LONGEST_READ_SECONDS = 2.0


class PublicServices(grpc.GenericRpcHandler):
    """Reads their requests as those of other services are read, within much smaller bounds."""

    def __init__(self, names: Sequence[str]) -> None:
        self.health = health.aio.HealthServicer()
        self._handlers: list[grpc.GenericRpcHandler] = []
        self._places = asyncio.Semaphore(_MOST_READ_AT_ONCE)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self)
        listed = [*names, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            reflection.aio.ReflectionServicer(listed), self
        )

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """What is offered here is taken on like by a server."""
        self._handlers += handlers

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Handler]) -> None:
        """They are the same again."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        for offered in self._handlers:
            found = offered.service(handler_call_details)
            if found is not None:
                return self._bounded(handler_call_details.method, found)
        return None

    def _bounded(self, method: str, handler: Any) -> Handler:
        parse: Parser[Any] = Parser(handler.request_deserializer, _LONGEST_REQUEST_BYTES)

        async def requests_of(context: Any) -> AsyncIterator[Any]:
            with suppress(_NoMore):
                while True:
                    yield parse(await self._read(context))

        async def respond(context: Any) -> None:
            if handler.request_streaming:
                async for response in handler.stream_stream(requests_of(context), context):
                    await context.write(response)
                return
            request = parse(await self._read(context))
            behaviour = handler.unary_unary or handler.unary_stream
            response = await behaviour(request, context)
            if response is not None:  # else it has written what it had to say
                await context.write(response)

        async def call(_requests: object, context: Any) -> None:
            try:
                await respond(context)
            except HatchetError as error:
                refusal = refusal_of(method, error)
            else:
                return
            await refusal.send(context)

        bounded: Handler = grpc.stream_stream_rpc_method_handler(
            call, response_serializer=handler.response_serializer
        )
        return bounded

    async def _read(self, context: Any) -> bytes:
        """Return the next message. A short one is there when its turn has come."""
        try:
            async with self._places, asyncio.timeout(_LONGEST_READ_SECONDS):
                message = await context.read()
        except TimeoutError:
            raise ResourceExhausted("the message did not come in time") from None
        if message is END:
            raise _NoMore("the call has no message")
        return cast(bytes, message)


class _NoMore(InvalidArgument):
    """The client has said everything."""
