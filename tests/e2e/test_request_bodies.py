"""Bodies against the real web process: what is too long or too slow is refused while it arrives."""

from __future__ import annotations

import contextlib
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.e2e.stack import Service, Stack

MEBIBYTE = 1024 * 1024
MOST = 4 * MEBIBYTE
SMALL = 64 * 1024
SECONDS = 60


@pytest.fixture(scope="module")
def web(empty_stack: Stack) -> Service:
    return empty_stack.start_web()


@pytest.fixture(scope="module")
def session(empty_stack: Stack, web: Service) -> str:
    """The cookie of a signed-in admin."""
    request = urllib.request.Request(
        f"{empty_stack.server_url}/api/v1/users/login",
        json.dumps({"email": "admin@example.com", "password": empty_stack.password}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        cookies: list[str] = answer.headers.get_all("Set-Cookie")
    return next(c.partition(";")[0] for c in cookies if c.startswith("hatchet="))


@contextmanager
def sending(stack: Stack, path: str, *headers: str) -> Iterator[socket.socket]:
    """A connection that has sent the head of a POST request."""
    address = urlsplit(stack.server_url)
    with closing(socket.create_connection((address.hostname, address.port), SECONDS)) as connection:
        head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
        connection.sendall("\r\n".join([*head, *headers, "", ""]).encode())
        yield connection


def answer_on(connection: socket.socket) -> tuple[int, dict[str, Any], bool]:
    """Read one answer: its status, its body, and whether the server then closes the connection."""
    with connection.makefile("rb") as file:
        status, length, is_closed = int(file.readline().split()[1]), 0, False
        while line := file.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
            is_closed |= line == b"connection: close"
        return status, json.loads(file.read(length)), is_closed


def send_until_refused(connection: socket.socket, chunk: bytes, times: int) -> None:
    with contextlib.suppress(ConnectionError):
        for _ in range(times):
            connection.sendall(chunk)


def unnamed_files(web: Service) -> int:
    """How many files without a name, where bodies are kept, the web process has open."""
    (server,) = psutil.Process(web.process.pid).children()
    return sum("(deleted)" in one.path for one in server.open_files())


@pytest.mark.parametrize("who", ["nobody", "forger", "forged session", "token", "session"])
@pytest.mark.parametrize("length", [SMALL + 1, MOST + 1, 2**40])
def test_a_long_body_is_refused_by_its_length(
    empty_stack: Stack, web: Service, session: str, who: str, length: int
) -> None:
    headers = {
        "nobody": "X-Nothing: 1",
        "forger": "Authorization: Bearer ey.not.ours",
        "forged session": f"Cookie: hatchet={'x' * 32}",
        "token": f"Authorization: Bearer {empty_stack.token}",
        "session": f"Cookie: {session}",
    }
    is_known = who in {"token", "session"}
    with sending(
        empty_stack, "/api/v1/users/login", f"Content-Length: {length}", headers[who]
    ) as connection:
        if is_known and length <= MOST:
            connection.sendall(b" " * length)
            status, _, _ = answer_on(connection)
            assert status == 400  # it was read, and holds nothing
            return
        status, body, is_closed = answer_on(connection)
    assert (status, is_closed) == (413, True)
    assert body["errors"][0]["code"] == 413
    assert "too large" in body["errors"][0]["description"]


@pytest.mark.parametrize("who", ["nobody", "session"])
def test_a_body_without_a_length_is_refused_when_it_gets_too_long(
    empty_stack: Stack, web: Service, session: str, who: str
) -> None:
    cookie = f"Cookie: {session}" if who == "session" else "X-Nothing: 1"
    before = unnamed_files(web)
    with sending(
        empty_stack, "/api/v1/users/login", "Transfer-Encoding: chunked", cookie
    ) as connection:
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        send_until_refused(connection, chunk, 2 * (MOST if who == "session" else SMALL) // 0x4000)
        status, body, _ = answer_on(connection)
    assert (status, "too large" in body["message"]) == (413, True)
    assert unnamed_files(web) == before


def test_a_refused_caller_who_goes_on_sending_still_reads_the_answer(
    empty_stack: Stack, web: Service
) -> None:
    with sending(empty_stack, "/login", f"Content-Length: {2**40}") as connection:
        for _ in range(64):
            connection.sendall(b"x" * 0x8000)
        assert answer_on(connection)[0] == 413


def test_slow_bodies_keep_no_thread_from_others(empty_stack: Stack, web: Service) -> None:
    with contextlib.ExitStack() as slow:
        for _ in range(30):
            head = sending(empty_stack, "/api/v1/users/login", "Content-Length: 100")
            slow.enter_context(head).sendall(b"{")
        with urllib.request.urlopen(f"{empty_stack.server_url}/api/ready") as answer:
            assert answer.status == 200


def test_a_long_body_of_a_known_caller_arrives(
    empty_stack: Stack, web: Service, session: str
) -> None:
    path = f"/api/v1/stable/tenants/{tenant_of(empty_stack)}/cel/debug"
    body = json.dumps({"expression": "size(input.a) > 1", "input": {"a": "x" * (3 * MEBIBYTE)}})
    for header in (
        ("Authorization", f"Bearer {empty_stack.token}"),
        ("Cookie", session),
    ):
        request = urllib.request.Request(
            f"{empty_stack.server_url}{path}",
            body.encode(),
            {"Content-Type": "application/json", header[0]: header[1]},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["output"] is True


def tenant_of(stack: Stack) -> str:
    import jwt

    claims: dict[str, str] = jwt.decode(stack.token, options={"verify_signature": False})
    return claims["sub"]
