"""Who asks, and over which scheme, is told by trusted proxies only."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from hatchet_site.proxies import ForwardedRequests

TRUSTED = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]


async def seen(peer: str | None, kind: str = "http", **headers: str) -> dict[str, Any]:
    """The scope that the application gets."""
    scopes: list[dict[str, Any]] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)

    scope: dict[str, Any] = {
        "type": kind,
        "client": None if peer is None else [peer, 50000],
        "headers": [(b"host", b"x"), *((k.encode(), v.encode()) for k, v in headers.items())],
    }
    if kind == "http":
        scope["scheme"] = "http"
    await ForwardedRequests(application, TRUSTED)(scope, None, None)
    return scopes[0]


def told(chain: str, proto: str | None = None) -> dict[str, str]:
    return {"x-forwarded-for": chain} | ({"x-forwarded-proto": proto} if proto else {})


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        (None, "192.0.2.7", "192.0.2.7"),  # a Unix socket
        ("127.0.0.1", "6.6.6.6, 192.0.2.7", "192.0.2.7"),  # the first was made up by the client
        ("127.0.0.1", "6.6.6.6, 192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("127.0.0.1", "6.6.6.6, nonsense, 10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "10.0.0.5, 10.1.2.3", "10.0.0.5"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
        ("127.0.0.1", "[2001:db9::1]:4711", "2001:db9::1"),
        ("127.0.0.1", "2001:db9::1, 2001:db8::2", "2001:db9::1"),
        ("::ffff:127.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.1", "6.6.6.6", "192.0.2.1"),
    ],
)
async def test_the_client_is_who_the_last_trusted_proxy_saw(
    peer: str | None, chain: str, client: str
) -> None:
    scope = await seen(peer, **told(chain))
    assert scope["client"][0] == client
    assert scope["headers"] == [(b"host", b"x")]


@pytest.mark.parametrize(
    ("peer", "chain", "proto", "scheme"),
    [
        ("127.0.0.1", "192.0.2.7", "https", "https"),
        ("127.0.0.1", "", "https", "https"),
        ("127.0.0.1", "192.0.2.7", "HTTPS", "https"),
        ("127.0.0.1", "192.0.2.7, 10.1.2.3", "https, http", "https"),
        ("127.0.0.1", "6.6.6.6, 192.0.2.7", "https, http", "http"),
        ("127.0.0.1", "192.0.2.7", "gopher", "http"),
        ("192.0.2.1", "6.6.6.6", "https", "http"),
    ],
)
async def test_the_scheme_is_what_it_saw(peer: str, chain: str, proto: str, scheme: str) -> None:
    assert (await seen(peer, **told(chain, proto)))["scheme"] == scheme


async def test_web_sockets_are_told_of_in_the_same_way() -> None:
    scope = await seen("127.0.0.1", "websocket", **told("192.0.2.7", "https"))
    assert (scope["client"], scope["scheme"]) == (["192.0.2.7", 0], "wss")
    assert "scheme" not in await seen("192.0.2.1", "websocket", **told("6.6.6.6", "https"))


async def test_strangers_headers_are_dropped() -> None:
    scope = await seen("192.0.2.1", **told("6.6.6.6", "https"), **{"x-forwarded-host": "evil"})
    assert scope["headers"] == [(b"host", b"x")]


async def test_other_kinds_of_scope_pass() -> None:
    assert (await seen(None, "lifespan"))["type"] == "lifespan"
