"""Requests in threads that live on: one change of thread each, and database connections that stay.

Django's own handler changes threads for every middleware that is not a coroutine, for the view and for its
rendering, and ends the thread, with its connection, after the request. All of ours is synchronous, so a
request goes to its thread once and comes back with the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import FileResponse
from django.urls import set_script_prefix

MOST_THREADS = 10


class ThreadKeepingHandler(ASGIHandler):
    """Serves each request in one thread, as Django does, but in one that served others before."""

    def __init__(self, most_threads: int = MOST_THREADS) -> None:
        super().__init__()
        self._free = asyncio.Semaphore(most_threads)
        self._idle: list[ThreadPoolExecutor] = []
        self._respond_in_thread = sync_to_async(self._respond)

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        # After the body nothing comes but the word that the caller has gone.
        departure = asyncio.create_task(receive())
        try:
            async with self._thread():
                if departure.done():
                    return
                response = await self._respond_in_thread(scope, body, departure)
                if not response.closed:
                    await self._stream(response, send, departure)
                    return
            # Whoever reads slowly keeps nobody else waiting.
            if not departure.done():
                await self.send_response(response, send)
        finally:
            departure.cancel()
            body.close()

    def _respond(self, scope: Any, body: Any, departure: asyncio.Task[Any]) -> Any:
        """Everything that a request asks of its thread; a response that is not closed then is a live stream."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any = refusal if request is None else self.get_response(request)
        response._handler_class = self.__class__
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        is_live = response.streaming and response.is_async
        if response.streaming and not is_live:
            # Django would collect it all as well, when it is sent.
            response.streaming_content = _each(list(response.streaming_content))
        if not is_live or departure.done():
            response.close()
        return response

    async def _stream(self, response: Any, send: Any, departure: asyncio.Task[Any]) -> None:
        """Send what is made in this request's thread meanwhile, until its reader goes."""
        sending = asyncio.create_task(self.send_response(response, send))
        try:
            await asyncio.wait([sending, departure], return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await sync_to_async(response.close)()

    @asynccontextmanager
    async def _thread(self) -> AsyncIterator[None]:
        """Make synchronous code of this task run in one idle thread; the last used is taken first."""
        async with self._free:
            thread = self._idle.pop() if self._idle else ThreadPoolExecutor(1, "request")
            try:
                async with ThreadSensitiveContext(executor=thread):
                    yield
            finally:
                self._idle.append(thread)


async def _each(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
