"""A streamed answer waits for whoever reads it, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from hatchet_site import slow_readers
from hatchet_site.slow_readers import send
from tests.test_bodies import Caller

START = {"type": "http.response.start", "status": 200, "headers": []}


class Download:
    """A request that is being answered in parts; the connection can be told to be full."""

    def __init__(self) -> None:
        self.caller = Caller(request_buffer_size=1024)
        self.caller.send(b"GET /api/live HTTP/1.1\r\nHost: x\r\n\r\n")
        self.transport = self.caller.transport
        [self.request] = self.transport.producer.requests
        self.content = self.request.content
        self.server: Any = MagicMock(connections={self.request: {}})

    async def send(self, body: bytes, *, has_more: bool = True) -> None:
        message = {"type": "http.response.body", "body": body, "more_body": has_more}
        await send(self.server, self.request, message)

    async def start(self) -> None:
        await send(self.server, self.request, START)

    @property
    def sent(self) -> bytes:
        value: bytes = self.transport.value()
        return value


@pytest.fixture
def download() -> Iterator[Download]:
    made = Download()
    yield made
    made.content.close()


async def turn_to_others() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_next_part_waits_until_there_is_room(download: Download) -> None:
    await download.start()
    await download.send(b"first")
    download.transport.producer.pauseProducing()
    waiting = asyncio.create_task(download.send(b"second"))
    await turn_to_others()
    assert b"second" in download.sent
    assert not waiting.done()
    download.transport.producer.resumeProducing()
    await waiting
    await download.send(b"", has_more=False)
    assert b"first" in download.sent


async def test_who_hangs_up_is_not_waited_for(download: Download) -> None:
    await download.start()
    await download.send(b"first")
    download.transport.producer.pauseProducing()
    waiting = asyncio.create_task(download.send(b"second"))
    await turn_to_others()
    download.transport.producer.stopProducing()
    await waiting
    download.caller.hang_up()
    await download.send(b"third")
    assert b"third" not in download.sent


async def test_a_reader_who_takes_nothing_is_cut_off(
    download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_readers, "PATIENCE_SECONDS", 0.01)
    await download.start()
    await download.send(b"first")
    download.transport.producer.pauseProducing()
    await download.send(b"second")
    assert download.transport.is_aborted


async def test_an_answer_in_one_part_is_sent_at_once(download: Download) -> None:
    await download.start()
    download.transport.producer.pauseProducing()
    await download.send(b"whole", has_more=False)
    assert b"whole" in download.sent
