"""Requests that others ask for do not reach what only this machine or its network can reach."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from webhooks.outgoing.targets import is_open, problem_with

PRIVATE = "leads to a private or local address"
CLOSED = [
    "0.0.0.0",  # noqa: S104  (nothing is bound to it)
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "",
    "example.com",
    "127.1",
]
OPEN = [
    "1.1.1.1",
    "93.184.216.34",
    "172.32.0.1",
    "100.128.0.1",
    "::ffff:93.184.216.34",
    "64:ff9b::5db8:d822",
    "2606:2800:220:1:248:1893:25c8:1946",
]


@pytest.mark.parametrize("address", CLOSED)
def test_private_and_local_addresses_are_closed(address: str) -> None:
    assert not is_open(address, ())


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses_are_open(address: str) -> None:
    assert is_open(address, ())


def test_what_is_allowed_is_open_and_nothing_beside_it() -> None:
    allowed = (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert is_open("10.1.2.3", allowed)
    assert is_open("::ffff:10.1.2.3", allowed)
    assert is_open("fd00::1", allowed)
    assert not is_open("10.2.0.1", allowed)
    assert not is_open("127.0.0.1", allowed)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://example.com", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("gopher://example.com:70/", "must begin with https://"),
        ("//example.com", "must begin with https://"),
        ("example.com", "must begin with https://"),
        ("https://", "must begin with https://"),
        ("", "must begin with https://"),
        ("https://a:b@example.com/", "user or a password"),
        ("https://@example.com/", "user or a password"),
        ("https://example.com/#x", "fragment"),
        ("https://example.com:22/", "port"),
        ("https://example.com:25/", "port"),
        ("https://example.com:99999/", "is not a URL"),
        ("https://example.com:x/", "is not a URL"),
        ("https://[::1/", "is not a URL"),
        ("https://example.com/a b", "without blanks"),
        ("https://example.com/\r\nX: y", "without blanks"),
        ("https://example.com\\@127.0.0.1/", "without blanks"),
        ("https://example.com/\0", "without blanks"),
        ("https://example.com/" + "a" * 2_000, "at most 2000"),
        ("http://127.0.0.1/", PRIVATE),
        ("http://[::1]:8080/", PRIVATE),
        ("http://[::ffff:127.0.0.1]/", PRIVATE),
        ("http://169.254.169.254/latest/meta-data", PRIVATE),
        ("http://localhost:8080/", PRIVATE),
        ("http://LOCALHOST./", PRIVATE),
        ("http://api.localhost/", PRIVATE),
        ("http://metadata.google.internal/", PRIVATE),
        ("http://printer.local/", PRIVATE),
    ],
)
def test_urls_that_lead_nowhere_good_are_refused(url: str, problem: str) -> None:
    assert problem in (problem_with(url, ()) or "")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com:8080/a?b=c",
        "https://bücher.example/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
    ],
)
def test_other_urls_are_taken(url: str) -> None:
    assert problem_with(url, ()) is None


def test_an_allowed_network_lets_its_addresses_and_local_names_be_entered() -> None:
    allowed = (ip_network("127.0.0.0/8"),)
    assert problem_with("http://127.0.0.1:8080/", allowed) is None
    assert problem_with("http://localhost:8080/", allowed) is None
    assert problem_with("http://10.0.0.1/", allowed) is not None
