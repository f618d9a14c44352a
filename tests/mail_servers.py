"""Real servers that take mail, and a way to wait until all that was handed over has left."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from tenants import mail

SECONDS = 120


@dataclass
class Inbox:
    """What arrived, and with which name and password."""

    host: str = "127.0.0.1"
    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    sign_ins: list[tuple[str, str]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def messages(self) -> list[EmailMessage]:
        contents = [one.content for one in self.envelopes]
        return [
            message_from_bytes(content, policy=policy.default)
            for content in contents
            if isinstance(content, bytes)
        ]

    def wait_for(self, address: str) -> EmailMessage:
        """Return the first message to an address."""

        def found() -> EmailMessage | None:
            return next((one for one in self.messages() if one["To"] == address), None)

        with self.arrived:
            assert self.arrived.wait_for(found, SECONDS)
            message = found()
        assert message
        return message

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:
        with self.arrived:
            self.envelopes.append(envelope)
            self.arrived.notify_all()
        return "250 taken"

    def authenticate(self, *given: Any) -> AuthResult:
        data = given[-1]
        assert isinstance(data, LoginPassword)
        self.sign_ins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"right")


@contextmanager
def smtp_server(*, tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[Inbox]:
    inbox = Inbox(port=free_port())
    controller = Controller(
        inbox,
        hostname=inbox.host,
        port=inbox.port,
        tls_context=tls,
        authenticator=inbox.authenticate,
        ready_timeout=SECONDS,
        **options,
    )
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()


@contextmanager
def silent_server() -> Iterator[tuple[str, int]]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[:2]


@contextmanager
def http_server(answer: bytes = b"{}", status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """Keeps the headers and JSON bodies of what is posted to it."""
    taken: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((dict(self.headers), json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", taken
        server.shutdown()


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def settle() -> None:
    """Wait until no message is under way."""
    for _ in range(mail.MOST_WAITING):
        mail._room.acquire()
    for _ in range(mail.MOST_WAITING):
        mail._room.release()
