"""A real provider of OpenID Connect in a process of its own, and one that tells its documents differently."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from tests.mail_servers import free_port

SECONDS = 120
Answer = Callable[[str, str, dict[str, str]], Any]
"""Given method, path and headers, a document; None for 404."""


@dataclass(frozen=True)
class IdentityProvider:
    issuer: str

    def knows(self, sub: str, **claims: Any) -> None:
        answer = requests.put(f"{self.issuer}/users/{quote(sub)}", json=claims, timeout=SECONDS)
        assert answer.status_code == 204

    def sign_in(self, authorization: str, sub: str) -> str:
        """Do what a person does at the provider, and return the path that they are sent back to."""
        answer = requests.post(
            authorization, data={"sub": sub}, allow_redirects=False, timeout=SECONDS
        )
        assert answer.status_code in {302, 303}, answer.text
        return path_of(answer.headers["Location"])

    def deny(self, authorization: str) -> str:
        answer = requests.post(
            authorization, data={"action": "deny"}, allow_redirects=False, timeout=SECONDS
        )
        return path_of(answer.headers["Location"])


def path_of(url: str) -> str:
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == "http://localhost:8080"
    return f"{parts.path}?{parts.query}"


@contextmanager
def identity_provider(host: str = "localhost") -> Iterator[IdentityProvider]:
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    reading = threading.Thread(target=process.stdout.read)
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if str(port) in line:
                break
        else:
            raise AssertionError(f"the provider did not start: {said}")
        reading.start()
        yield IdentityProvider(f"http://{host}:{port}")
    finally:
        process.terminate()
        process.wait(SECONDS)
        if reading.ident:
            reading.join(SECONDS)
        process.stdout.close()


@contextmanager
def documents(answer: Answer) -> Iterator[str]:
    """A server of JSON documents that a test makes up."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found = answer(self.command, self.path, dict(self.headers))
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("localhost", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()
