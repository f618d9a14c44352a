"""Threads for requests that live on, and their database connections with them.

Django gives every request a thread of its own, which takes its connection with it when it ends:
each request then costs a new connection, which is most of its time and a process of Postgres.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.core.handlers.asgi import ASGIHandler

MOST_THREADS = 10


class ThreadKeepingHandler(ASGIHandler):
    """Serves each request in one thread, as Django does, but in one that served others before."""

    def __init__(self, most_threads: int = MOST_THREADS) -> None:
        super().__init__()
        self._free = asyncio.Semaphore(most_threads)
        self._idle: list[ThreadPoolExecutor] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with self._thread():
            await self.handle(scope, receive, send)

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
