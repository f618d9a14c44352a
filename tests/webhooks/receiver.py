"""A program that endpoints lead to: it keeps what it is sent and answers what it is told to."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.webhooks.senders import hmac_of

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        kind: str = self.json["type"]
        return kind

    @property
    def run(self) -> str:
        run: str = self.json["data"]["workflowRunId"]
        return run

    def is_signed_with(self, secret: str) -> bool:
        """Verify as the specification of Standard Webhooks says, with nothing of ours."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        name, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        assert abs(time.time() - int(at)) < 300
        digest = hmac_of("sha256", key, f"{name}.{at}.".encode() + self.body)
        wanted = "v1," + base64.b64encode(digest).decode()
        return wanted in self.headers["webhook-signature"].split(" ")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)


Answers = Callable[[Received], Answer]


class Receiver:
    """`answers` is asked for each request, in a thread of its own."""

    def __init__(self, answers: Answers, tls: ssl.SSLContext | None = None) -> None:
        self.answers = answers
        self._received: list[Received] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._requests())
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def so_far(self) -> list[Received]:
        with self._changed:
            return list(self._received)

    def wait_for(self, count: int) -> list[Received]:
        """Wait until so many have come; return them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._received) >= count, PATIENCE_SECONDS), (
                f"{count} wanted, {[one.kind for one in self._received]} came"
            )
            return list(self._received)

    def _requests(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.path, headers, body)
                with receiver._changed:
                    receiver._received.append(received)
                    receiver._changed.notify_all()
                answer = receiver.answers(received)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                with suppress(ConnectionError):  # who has read enough hangs up
                    self.wfile.write(answer.body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Requests


@contextmanager
def receiving(
    answers: Answers = lambda _: Answer(), tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    receiver = Receiver(answers, tls)
    try:
        yield receiver
    finally:
        receiver.close()
