"""Binds servicers to the contract: one route for every method the descriptors name.

A servicer is a plain object with a coroutine `Method(request, tenant_id)` for each unary method and
an async generator for each streaming one (a bidirectional one gets the request iterator). Methods it
lacks answer UNIMPLEMENTED. Credentials are checked in the route itself: measured, that costs a call
nothing, while an interceptor adds 20 to 50 microseconds to each.

Nothing of a request is read before its caller is known. A unary route of the transport reads it first,
so a call has one only if its token is known from memory; any other is a stream that may be read later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from engine.errors import HatchetError
from engine.rpc.auth import Authenticator, bearer_token
from engine.rpc.errors import NotImplementedYet, refusal_of
from engine.rpc.messages import Parser, first_message, messages_of
from engine.rpc.permissions import Permission, permission_of
from engine.rpc.spans import spanned
from engine.rpc.streams import Context, OpenStreams, Stream

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_shown: ContextVar[str] = ContextVar("shown token")
"""The token of the call that this task serves: to make its metadata anew costs 2 us a call."""


_Read: TypeAlias = Callable[[Stream, Any, Context], Awaitable[Any]]
"""Returns what a stream's caller gives: its request, or an iterator of its requests."""


class _Route(NamedTuple):
    """Who serves a method: in one call whose token is known, and in any other."""

    known: Handler
    other: Handler


class Routes(grpc.GenericRpcHandler):
    """All routes of the server. No request may come to more than `max_message_bytes`."""

    def __init__(
        self,
        authenticator: Authenticator,
        streams: OpenStreams,
        servicers: dict[str, object],
        max_message_bytes: int,
    ) -> None:
        self._authenticator = authenticator
        self._streams = streams
        self._servicers = servicers
        self._max_message_bytes = max_message_bytes
        self._routes: dict[str, _Route] = {}
        self._whole_calls: dict[str, dict[str, Handler]] = {}

    def add_service(self, service: ServiceDescriptor) -> None:
        servicer = self._servicers.get(service.full_name)
        whole_calls = self._whole_calls.setdefault(service.full_name, {})
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            implementation = getattr(servicer, method.name, None)
            self._routes[path] = self._route(method, implementation)
            if implementation is not None and not method.client_streaming:
                whole_calls[method.name] = self._whole_call(method, implementation)

    def whole_calls(self) -> Mapping[str, dict[str, Handler]]:
        """By service and method, for a transport that reads a request before it tells of its call."""
        return self._whole_calls

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        route = self._routes.get(handler_call_details.method)
        if route is None:
            return None
        token = self._authenticator.known_token(handler_call_details.invocation_metadata)
        if token is None:
            return route.other
        _shown.set(token)
        return route.known

    def _route(self, method: MethodDescriptor, implementation: Any) -> _Route:
        permission = permission_of(method.full_name)
        if implementation is None:
            refusal: Handler = grpc.stream_stream_rpc_method_handler(self._refusal(permission))
            return _Route(refusal, refusal)
        parse, serialize = self._parser(method), _serializer(method)
        if method.server_streaming:
            read = self._requests if method.client_streaming else _first_request
            stream: Handler = grpc.stream_stream_rpc_method_handler(
                self._stream(permission, implementation, partial(read, parse)),
                response_serializer=serialize,
            )
            return _Route(stream, stream)
        return _Route(
            grpc.unary_unary_rpc_method_handler(
                spanned(
                    permission.method, self._unary(permission, implementation, parse, _token_found)
                ),
                response_serializer=serialize,
            ),
            grpc.stream_stream_rpc_method_handler(
                spanned(permission.method, self._late_unary(permission, implementation, parse)),
                response_serializer=serialize,
            ),
        )

    def _whole_call(self, method: MethodDescriptor, implementation: Any) -> Handler:
        permission = permission_of(method.full_name)
        parse, serialize = self._parser(method), _serializer(method)
        if method.server_streaming:
            stream = self._stream(permission, implementation, partial(_whole_request, parse))
            return grpc.unary_stream_rpc_method_handler(stream, response_serializer=serialize)
        call = spanned(
            permission.method, self._unary(permission, implementation, parse, _token_shown)
        )
        return grpc.unary_unary_rpc_method_handler(call, response_serializer=serialize)

    def _parser(self, method: MethodDescriptor) -> Parser[Any]:
        return Parser(GetMessageClass(method.input_type).FromString, self._max_message_bytes)

    def _unary(
        self,
        permission: Permission,
        implementation: Callable[[Any, UUID], Awaitable[Any]],
        parse: Parser[Any],
        token_of: Callable[[Context], str],
    ) -> Callable[[bytes, Context], Awaitable[Any]]:
        authenticator = self._authenticator

        async def call(raw: bytes, context: Context) -> Any:
            try:
                # It may have been revoked while its message came in.
                token = token_of(context)
                caller = authenticator.known(token) or await authenticator.checked(token)
                permission.check(caller)
                return await implementation(
                    permission.checked(parse(raw), caller), caller.tenant_id
                )
            except Exception as error:  # noqa: BLE001  every failure must become a status
                refusal = refusal_of(permission.method, error)
            del raw
            return await refusal.send(context)

        return call

    def _late_unary(
        self,
        permission: Permission,
        implementation: Callable[[Any, UUID], Awaitable[Any]],
        parse: Parser[Any],
    ) -> Callable[[object, Context], Awaitable[None]]:
        """The same for a call whose token has to be looked at first."""
        authenticator = self._authenticator

        async def call(_requests: object, context: Context) -> None:
            try:
                caller = await authenticator.verify(_token_shown(context))
                permission.check(caller)
                response = await implementation(
                    permission.checked(parse(await first_message(context)), caller),
                    caller.tenant_id,
                )
            except Exception as error:  # noqa: BLE001  every failure must become a status
                refusal = refusal_of(permission.method, error)
            else:
                await context.write(response)
                return
            await refusal.send(context)

        return call

    def _stream(
        self,
        permission: Permission,
        implementation: Callable[[Any, UUID], AsyncGenerator[Any]],
        read: _Read,
    ) -> Callable[[object, Context], Awaitable[None]]:
        async def respond(task: Stream, received: object, context: Context) -> None:
            token = _token_shown(context)
            caller = await self._authenticator.verify(token)
            permission.check(caller)
            self._streams.add(task, token)
            given = await read(task, received, context)
            async with aclosing(implementation(given, caller.tenant_id)) as responses:
                async for response in responses:
                    await self._streams.write(task, context, response)

        async def call(received: object, context: Context) -> None:
            task = asyncio.current_task()
            assert task is not None
            try:
                await respond(task, received, context)
            except asyncio.CancelledError:
                ending = self._streams.ending_of(task)
                if ending is None:
                    raise
                task.uncancel()
                refusal = refusal_of(permission.method, ending)
            except Exception as error:  # noqa: BLE001  every failure must become a status
                refusal = refusal_of(permission.method, error)
            else:
                return
            finally:
                self._streams.discard(task)
            await refusal.send(context)

        return call

    async def _requests(
        self, parse: Parser[Any], stream: Stream, _received: object, context: Context
    ) -> AsyncGenerator[Any]:
        return self._read_many(parse, stream, context)

    async def _read_many(
        self, parse: Parser[Any], stream: Stream, context: Context
    ) -> AsyncGenerator[Any]:
        """What cannot be read ends the whole stream: nobody could tell what it was about."""
        async for raw in messages_of(context):
            try:
                request = parse(raw)
            except HatchetError as error:
                self._streams.end(stream, error)
                return
            yield request

    def _refusal(self, permission: Permission) -> Callable[[object, Context], Awaitable[None]]:
        async def call(_requests: object, context: Context) -> None:
            try:
                permission.check(await self._authenticator.verify(_token_shown(context)))
                raise NotImplementedYet(f"{permission.method} is not implemented by this server")
            except Exception as error:  # noqa: BLE001  every failure must become a status
                refusal = refusal_of(permission.method, error)
            await refusal.send(context)

        return call


async def _first_request(
    parse: Parser[Any], _stream: Stream, _received: object, context: Context
) -> Any:
    return parse(await first_message(context))


async def _whole_request(
    parse: Parser[Any], _stream: Stream, received: Any, _context: Context
) -> Any:
    return parse(received)


def _token_shown(context: Context) -> str:
    return bearer_token(context.invocation_metadata())


def _token_found(_context: Context) -> str:
    """The one that `Routes.service` has seen: it runs in the call's own task."""
    return _shown.get()


def _serializer(method: MethodDescriptor) -> Callable[[Any], bytes]:
    return GetMessageClass(method.output_type).SerializeToString
