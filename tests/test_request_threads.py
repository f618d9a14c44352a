"""Requests share a few threads that live on, so that database connections do too."""

from __future__ import annotations

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async

from hatchet_site.request_threads import ThreadKeepingHandler


class Recorder:
    """Stands for Django's handling of a request: synchronous work in the request's thread."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.busy = 0
        self.most_busy = 0

    async def handle(self, scope: object, receive: object, send: object) -> None:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        first = await sync_to_async(threading.get_ident)()
        await asyncio.sleep(0)
        assert await sync_to_async(threading.get_ident)() == first
        self.threads.append(first)
        self.busy -= 1


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def handler_of(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> ThreadKeepingHandler:
    handler = ThreadKeepingHandler(most_threads=2)
    monkeypatch.setattr(handler, "handle", recorder.handle)
    return handler


async def test_one_request_after_another_runs_in_the_same_thread(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = handler_of(recorder, monkeypatch)
    for _ in range(3):
        await handler({}, None, None)
    assert len(set(recorder.threads)) == 1
    assert threading.get_ident() not in recorder.threads


async def test_no_more_run_at_once_than_there_are_threads(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = handler_of(recorder, monkeypatch)
    await asyncio.gather(*(handler({}, None, None) for _ in range(8)))
    assert len(recorder.threads) == 8
    assert recorder.most_busy == 2
    assert len(set(recorder.threads)) == 2


async def test_a_request_that_fails_gives_its_thread_back(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = ThreadKeepingHandler(most_threads=1)

    async def fail(scope: object, receive: object, send: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(handler, "handle", fail)
    with pytest.raises(ConnectionError):
        await handler({}, None, None)
    monkeypatch.setattr(handler, "handle", recorder.handle)
    await asyncio.wait_for(handler({}, None, None), timeout=5)
    assert len(recorder.threads) == 1
