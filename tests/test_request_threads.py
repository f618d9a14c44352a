"""Requests share a few threads that live on, so that database connections do too; each goes to one once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from pytest_django import Settings

from hatchet_site.request_threads import ThreadKeepingHandler


class Work:
    """What the view below does: it notes its thread, and waits if it is told to."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.is_open = threading.Event()
        self.is_open.set()
        self.busy = 0
        self.most_busy = 0
        self.begun = threading.Semaphore(0)
        self.streams_closed = 0
        self._lock = threading.Lock()

    def do(self) -> None:
        with self._lock:
            self.threads.append(threading.get_ident())
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        self.begun.release()
        assert self.is_open.wait(60)
        with self._lock:
            self.busy -= 1


work = Work()


def view(_request: HttpRequest) -> HttpResponse:
    work.do()
    return HttpResponse(b"done")


def fail(_request: HttpRequest) -> HttpResponse:
    work.do()
    raise ConnectionError


async def _for_ever() -> AsyncIterator[bytes]:
    try:
        while True:
            yield b"more"
            await asyncio.sleep(0)
    finally:
        work.streams_closed += 1


def stream(_request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_for_ever())


def failed(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=500)


handler500 = failed


def large(_request: HttpRequest) -> HttpResponse:
    work.do()
    return HttpResponse(b"x" * 3 * ThreadKeepingHandler.chunk_size)


def collected(_request: HttpRequest) -> StreamingHttpResponse:
    work.do()
    return StreamingHttpResponse(iter([b"one", b"two"]))


class Held:
    """A stream that holds something until it is closed."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _for_ever()

    def close(self) -> None:
        work.streams_closed += 1


def late_stream(_request: HttpRequest) -> StreamingHttpResponse:
    work.do()
    return StreamingHttpResponse(Held())


urlpatterns = [
    path("late-stream", late_stream),
    path("view", view),
    path("fail", fail),
    path("stream", stream),
    path("large", large),
    path("collected", collected),
]


@pytest.fixture(autouse=True)
def own_urls(settings: Settings) -> Iterator[None]:
    global work
    work = Work()
    settings.ROOT_URLCONF = __name__
    yield
    work.is_open.set()


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was given to threads, whichever pool has them."""
    given: list[str] = []
    submit = ThreadPoolExecutor.submit

    def noted(self: ThreadPoolExecutor, task: Any, /, *args: Any, **kwargs: Any) -> Any:
        given.append(repr(args or task))
        return submit(self, task, *args, **kwargs)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", noted)
    return given


class Caller:
    """The server's side of one request."""

    def __init__(self, address: str, *, body: bytes = b"") -> None:
        self.scope = {
            "type": "http",
            "method": "GET",
            "path": address,
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
        }
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": body})
        self.sent: list[dict[str, Any]] = []
        self.is_being_answered = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        self.sent.append(message)
        if len(self.sent) > 3:
            self.is_being_answered.set()

    async def ask(self, handler: ThreadKeepingHandler) -> int | None:
        await handler(self.scope, self._messages.get, self.send)
        return self.sent[0]["status"] if self.sent else None


async def test_a_request_goes_to_its_thread_once(settings: Settings, hops: list[str]) -> None:
    """With all the middleware there is: whatever is added to it must not change threads."""
    settings.ROOT_URLCONF = "hatchet_site.urls"
    handler = ThreadKeepingHandler()
    assert await Caller("/api/v1/nowhere").ask(handler) == 404
    assert len(hops) == 1, hops


async def test_one_request_after_another_runs_in_the_same_thread() -> None:
    handler = ThreadKeepingHandler(most_threads=2)
    for _ in range(3):
        assert await Caller("/view").ask(handler) == 200
    assert len(set(work.threads)) == 1
    assert threading.get_ident() not in work.threads


async def test_no_more_run_at_once_than_there_are_threads() -> None:
    handler = ThreadKeepingHandler(most_threads=2)
    work.is_open.clear()
    asked = [asyncio.create_task(Caller("/view").ask(handler)) for _ in range(8)]
    for _ in range(2):
        assert await asyncio.to_thread(work.begun.acquire, timeout=60)
    work.is_open.set()
    assert await asyncio.gather(*asked) == [200] * 8
    assert work.most_busy == 2
    assert len(set(work.threads)) == 2


async def test_a_request_that_fails_gives_its_thread_back() -> None:
    handler = ThreadKeepingHandler(most_threads=1)
    assert await Caller("/fail").ask(handler) == 500
    assert await Caller("/view").ask(handler) == 200
    assert len(set(work.threads)) == 1


async def test_who_left_while_waiting_is_not_served() -> None:
    handler = ThreadKeepingHandler(most_threads=1)
    work.is_open.clear()
    first, second = Caller("/view"), Caller("/view")
    asked = [asyncio.create_task(caller.ask(handler)) for caller in (first, second)]
    assert await asyncio.to_thread(work.begun.acquire, timeout=60)
    second.leave()
    await asyncio.sleep(0)
    work.is_open.set()
    assert await asyncio.gather(*asked) == [200, None]
    assert len(work.threads) == 1


async def test_a_stream_ends_when_its_reader_goes() -> None:
    handler = ThreadKeepingHandler()
    caller = Caller("/stream")
    asked = asyncio.create_task(caller.ask(handler))
    await asyncio.wait_for(caller.is_being_answered.wait(), 60)
    caller.leave()
    assert await asyncio.wait_for(asked, 60) == 200
    assert work.streams_closed == 1


@pytest.mark.parametrize("address", ["/large", "/collected"])
async def test_who_reads_slowly_keeps_no_thread(address: str) -> None:
    handler = ThreadKeepingHandler(most_threads=1)
    slow = Caller(address)
    slow.reads.clear()
    asked = asyncio.create_task(slow.ask(handler))
    assert await asyncio.to_thread(work.begun.acquire, timeout=60)
    assert await asyncio.wait_for(Caller("/view").ask(handler), 60) == 200
    assert not asked.done()
    slow.reads.set()
    assert await asked == 200
    parts = b"".join(message.get("body", b"") for message in slow.sent)
    assert parts in (b"onetwo", b"x" * 3 * handler.chunk_size)


async def test_a_stream_of_somebody_who_left_meanwhile_is_closed() -> None:
    """However long the view took: what the stream holds is given back."""
    handler = ThreadKeepingHandler()
    work.is_open.clear()
    caller = Caller("/late-stream")
    asked = asyncio.create_task(caller.ask(handler))
    assert await asyncio.to_thread(work.begun.acquire, timeout=60)
    caller.leave()
    await asyncio.sleep(0)
    work.is_open.set()
    assert await asyncio.wait_for(asked, 60) is None
    assert work.streams_closed == 1
