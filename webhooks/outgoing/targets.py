"""Where requests may go that other people tell us to make: public addresses, unless the operator says more.

A name is judged when it is entered and, as names come to mean other addresses, by the address that is
connected to: `post.py` asks `is_open` of each, in the moment it opens the socket.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2_000
_LOWEST_FREE_PORT = 1_024
_PORTS = (80, 443)
_LOCAL_NAMES = ("localhost", "internal", "local")
_CLOSED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
"""Private, shared, local, reserved, and metadata services; of IPv6 also what is a tunnel to anywhere."""
_NAT64 = IPv6Network("64:ff9b::/96")


def is_open(address: str, allowed: Iterable[Network]) -> bool:
    """Whether an address may be connected to. What is none may not."""
    try:
        judged = _meant(ip_address(address))
    except ValueError:
        return False
    if any(judged in network for network in allowed):
        return True
    return judged.is_global and not any(judged in network for network in _CLOSED)


def problem_with(url: str, allowed: Iterable[Network]) -> str | None:
    """Return what is wrong with a URL that requests are to go to, without looking its name up."""
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url or "\\" in url:
        return f"must be a URL of at most {LONGEST_URL} characters, without blanks"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in {"http", "https"} or not host:
        return "must begin with https:// or http:// and a host"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or a password"
    if parts.fragment:
        return "must not have a fragment"
    if port is not None and port not in _PORTS and port < _LOWEST_FREE_PORT:
        return "must have the port 80, 443, or one from 1024 on"
    networks = tuple(allowed)
    if _is_literal(host):
        is_reachable = is_open(host, networks)
    else:
        is_reachable = bool(networks) or host.rstrip(".").split(".")[-1] not in _LOCAL_NAMES
    return None if is_reachable else "leads to a private or local address, which is not allowed"


def _meant(address: Address) -> Address:
    """The address that one stands for which holds another."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
