"""Requests are bounded, follow nobody, and go to no address that is closed, whatever a name leads to."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pytest_django import Settings

from engine.config import Config
from tests.rpc.certificates import Authority
from tests.webhooks.receiver import Answer, Received, receiving
from webhooks.outgoing import post
from webhooks.outgoing.answered import Answered
from webhooks.outgoing.post import Poster

LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def local(installation: Config, settings: Settings) -> None:
    settings.HATCHET = replace(installation, webhooks_allowed_networks=LOOPBACK)


@pytest.fixture
async def poster() -> AsyncIterator[Poster]:
    made = Poster()
    yield made
    await made.close()


async def to_loopback(_self: Any, host: str, port: int = 0, family: Any = 0) -> list[Any]:
    """What a name comes to, whichever it is."""
    found = {"hostname": host, "host": "127.0.0.1", "port": port}
    return [found | {"family": socket.AF_INET, "proto": 0, "flags": 0}]


async def sent(poster: Poster, url: str) -> Answered:
    return await poster.post(url, {"webhook-id": "msg_1"}, b'{"a":1}')


async def test_a_request_is_a_post_of_the_bytes(local: None, poster: Poster) -> None:
    with receiving() as receiver:
        answered = await sent(poster, receiver.url("/a?b=c"))
        [received] = receiver.so_far()
    assert (answered.status, answered.error, answered.snippet) == (200, "", "ok")
    assert (received.path, received.body) == ("/a?b=c", b'{"a":1}')
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "127.1"]
)
async def test_closed_addresses_are_not_connected_to(poster: Poster, host: str) -> None:
    with receiving() as receiver:
        answered = await sent(poster, f"http://{host}:{receiver.port}/")
        assert receiver.so_far() == []
    assert answered.status is None
    assert answered.error


async def test_a_name_that_comes_to_mean_a_closed_address_is_not_connected_to(
    poster: Poster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name was open when it was entered; what counts is what it means now."""
    monkeypatch.setattr(aiohttp.resolver.DefaultResolver, "resolve", to_loopback)
    with receiving() as receiver:
        answered = await sent(poster, f"http://public.example:{receiver.port}/")
        assert receiver.so_far() == []
    assert answered.status is None
    assert "127.0.0.1 is a private or local address" in answered.error


async def test_tls_and_host_keep_the_name_of_what_is_connected_to(
    local: None, poster: Poster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = Authority()
    certificate, key = authority.issue("server", "hook.example")
    (tmp_path / "server.pem").write_text(certificate + key)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(tmp_path / "server.pem")
    trusted = ssl.create_default_context(cadata=authority.certificate)
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusted)
    monkeypatch.setattr(aiohttp.resolver.DefaultResolver, "resolve", to_loopback)
    with receiving(tls=served) as receiver:
        right = await sent(poster, f"https://hook.example:{receiver.port}/")
        wrong = await sent(poster, f"https://other.example:{receiver.port}/")
        [received] = receiver.so_far()
        assert received.headers["host"] == f"hook.example:{receiver.port}"
    assert right.status == 200
    assert wrong.status is None
    assert "other.example" in wrong.error


async def test_redirects_are_not_followed(local: None, poster: Poster) -> None:
    with receiving() as other:

        def redirect(_: Received) -> Answer:
            return Answer(307, headers={"Location": other.url()})

        with receiving(redirect) as receiver:
            answered = await sent(poster, receiver.url())
        assert other.so_far() == []
    assert (answered.status, answered.error) == (307, "answered 307")


async def test_no_more_of_an_answer_is_kept_than_its_beginning(local: None, poster: Poster) -> None:
    with receiving(lambda _: Answer(200, b"x" * 5_000_000)) as receiver:
        answered = await sent(poster, receiver.url())
        assert answered.snippet == "x" * post.SNIPPET_BYTES
        assert (await sent(poster, receiver.url())).status == 200


async def test_an_endpoint_that_does_not_answer_is_not_waited_for(
    local: None, poster: Poster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "TOTAL_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answered = await sent(poster, f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert answered.status is None
    assert "no answer" in answered.error


async def test_what_goes_wrong_is_told(local: None, poster: Poster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    refused = await sent(poster, f"http://127.0.0.1:{port}/")
    assert refused.status is None
    assert refused.error
    with receiving() as receiver:
        no_tls = await sent(poster, receiver.url().replace("http:", "https:"))
    assert no_tls.status is None
    assert no_tls.error


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        ("x", None),
        ("-1", None),
        ("9" * 40, None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
async def test_how_long_it_wants_to_be_left_alone(
    local: None, poster: Poster, said: str, seconds: float | None
) -> None:
    with receiving(lambda _: Answer(429, headers={"Retry-After": said})) as receiver:
        answered = await sent(poster, receiver.url())
    assert (answered.status, answered.retry_after) == (429, seconds)
