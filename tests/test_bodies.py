"""Callers whom nobody knows yet get little time and few places to send a body; see also e2e."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from daphne.http_protocol import HTTPFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from hatchet_site import bodies
from hatchet_site.bodies import bound_bodies

HEAD = b"POST /api/v1/users/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"


class Transport(StringTransport):
    is_aborted = False

    def abortConnection(self) -> None:
        self.is_aborted = True


class Caller:
    """A connection to Daphne without a network."""

    def __init__(self, **server: int) -> None:
        bound_bodies()
        factory = HTTPFactory(MagicMock(**server))
        factory.timeOut = None
        self.protocol: Any = factory.buildProtocol(MagicMock())
        self.transport: Any = Transport()  # type: ignore[no-untyped-call]  # twisted is half typed
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def hang_up(self) -> None:
        self.protocol.connectionLost(MagicMock())

    @property
    def status(self) -> str:
        sent: bytes = self.transport.value()
        return sent.partition(b"\r\n")[0].decode()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(bodies, "reactor", clock)
    yield clock
    assert not bodies._arriving


def test_a_body_that_does_not_come_is_not_waited_for(clock: Clock) -> None:
    caller = Caller()
    caller.send(HEAD)
    clock.advance(bodies.UNKNOWN_CALLER_SECONDS - 1)
    caller.send(b"{")
    assert caller.status == ""
    clock.advance(1)
    assert caller.status == "HTTP/1.1 408 Request Timeout"
    assert not caller.transport.is_aborted
    clock.advance(bodies.LINGER_SECONDS)
    assert caller.transport.is_aborted


def test_the_oldest_makes_room_for_one_more(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "UNKNOWN_CALLERS_AT_ONCE", 2)
    callers = [Caller() for _ in range(3)]
    for caller in callers:
        caller.send(HEAD)
    assert [caller.status for caller in callers] == ["HTTP/1.1 503 Service Unavailable", "", ""]
    for caller in callers:
        caller.hang_up()


def test_who_hangs_up_leaves_nothing_behind(clock: Clock) -> None:
    caller = Caller()
    caller.send(HEAD)
    caller.hang_up()
    assert not clock.getDelayedCalls()


def test_a_request_without_a_body_takes_no_place(clock: Clock) -> None:
    caller = Caller()
    caller.send(HEAD.replace(b"100", b"0"))
    assert not clock.getDelayedCalls()
