"""Who is really asking, and over which scheme, when a proxy stands in front of the web process."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SECURE = {"http": "https", "websocket": "wss"}
_PLAIN = {"http": "http", "websocket": "ws"}


class ForwardedRequests:
    """Wraps the application: trusted proxies are believed, from all others their headers are dropped.

    A proxy adds the address it was called from at the end of `X-Forwarded-For`. So the list is read
    from its end, and the first address that is no trusted proxy is the client; what stands before it
    may be made up.
    """

    def __init__(self, application: Any, trusted: Sequence[Network]) -> None:
        self._application = application
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._application(self._resolved(scope), receive, send)

    def _resolved(self, scope: Any) -> Any:
        if scope["type"] not in _SECURE:
            return scope
        headers, told = [], {b"x-forwarded-for": "", b"x-forwarded-proto": ""}
        for name, value in scope["headers"]:
            if name in told:
                text = value.decode("latin-1")
                told[name] = f"{told[name]},{text}" if told[name] else text
            elif not name.startswith(b"x-forwarded-"):
                headers.append((name, value))
        resolved = {**scope, "headers": headers}
        peer = scope.get("client")
        if peer is not None and not self._is_trusted(_parse(peer[0])):
            return resolved
        client, hops = self._client(told[b"x-forwarded-for"])
        if client is not None:
            resolved["client"] = [str(client), 0]
        scheme = _at_hop(told[b"x-forwarded-proto"], hops)
        if scheme in {"http", "https"}:
            names = _SECURE if scheme == "https" else _PLAIN
            resolved["scheme"] = names[scope["type"]]
        return resolved

    def _client(self, forwarded_for: str) -> tuple[Address | None, int]:
        """Return the client, and how many entries from the end tell of it."""
        client, hops = None, 0
        for text in reversed(forwarded_for.split(",")):
            address = _parse(text)
            if address is None:
                break
            client, hops = address, hops + 1
            if not self._is_trusted(address):
                break
        return client, hops

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _at_hop(forwarded_proto: str, hops: int) -> str:
    """Proxies either replace the scheme or add theirs, as they do with addresses."""
    schemes = [scheme.strip().lower() for scheme in forwarded_proto.split(",")]
    return schemes[max(len(schemes) - max(hops, 1), 0)]


def _parse(text: str) -> Address | None:
    """Read an address, which some proxies write with a port behind it."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
