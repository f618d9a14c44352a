"""A body that comes in chunks, without a length, is read like any other."""

from __future__ import annotations

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler

PATH = "/api/v1/users/login"


async def answer_to(*chunks: bytes) -> tuple[int, str]:
    """Send the chunks over ASGI; return the status and the description of the error."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"transfer-encoding", b"chunked"),
        ],
    }
    communicator: Any = ApplicationCommunicator  # it has no types
    http = communicator(ASGIHandler(), scope)
    for chunk in chunks:
        await http.send_input({"type": "http.request", "body": chunk, "more_body": True})
    await http.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await http.receive_output(timeout=10)
    body = b""
    more = True
    while more:
        part = await http.receive_output(timeout=10)
        body += part.get("body", b"")
        more = part.get("more_body", False)
    await http.wait()
    return start["status"], json.loads(body)["errors"][0]["description"]


async def test_its_content_is_used() -> None:
    status, description = await answer_to(b'{"email":"a@b', b'.test"}')
    assert (status, description) == (400, "password is required")


async def test_its_size_is_bounded() -> None:
    status, description = await answer_to(b'{"email":"', b"x" * 5 * 1024 * 1024, b'"}')
    assert (status, "too large" in description) == (413, True)
