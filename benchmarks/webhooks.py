"""How fast webhooks are accepted, beside an empty view of the same server, in turns."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.figures import ratio
from benchmarks.installation import Installation
from benchmarks.processes import cpu_seconds

CONNECTIONS = 16
WEBHOOKS = 100
"""Each may be called 50 times a second; together they are never at that bound."""
ROUNDS = 3
SECRET = b"benchmark of webhooks"
BODY = orjson.dumps(
    {"action": "opened", "number": 7, "pull_request": {"title": "Mend it", "body": "x" * 1_000}}
)


@dataclass(slots=True)
class Measured:
    """One web process and what was measured on it."""

    pid: int
    port: int
    requests: Sequence[bytes]
    rates: list[float]
    cpu_us: list[float]

    def measure(self, seconds: float) -> None:
        before = cpu_seconds(self.pid)
        started = time.monotonic()
        done = asyncio.run(_load(self.port, self.requests, seconds))
        self.rates.append(done / (time.monotonic() - started))
        self.cpu_us.append((cpu_seconds(self.pid) - before) / done * 1e6)

    def figures(self) -> dict[str, float]:
        return {
            "per_second": round(statistics.median(self.rates), 1),
            "web_cpu_us": round(statistics.median(self.cpu_us), 1),
        }


def measure_webhooks(installed: Installation, seconds: float) -> dict[str, Any]:
    """Send signed deliveries of 1 KB to many webhooks, and as many requests to the empty view."""
    web = installed.start_web()
    empty = installed.start_empty_web()
    paths = _make_webhooks(WEBHOOKS)
    signature = hmac.digest(SECRET, BODY, hashlib.sha256).hex()
    signed = {"X-GitHub-Event": "pull_request", "X-Hub-Signature-256": f"sha256={signature}"}
    webhooks = Measured(
        web, installed.http_port, [_request(path, signed) for path in paths], [], []
    )
    floor = Measured(empty, installed.empty_http_port, [_request("/empty", signed)], [], [])
    for measured in (webhooks, floor):
        asyncio.run(_load(measured.port, measured.requests, 1.0))
    for _ in range(ROUNDS):
        for measured in (webhooks, floor):
            measured.measure(seconds)
    figures = {"accepted": webhooks.figures(), "empty_view": floor.figures()}
    rates = [figures[name]["per_second"] for name in ("accepted", "empty_view")]
    return {**figures, "rate_to_empty_view": ratio(*rates)}


def _make_webhooks(count: int) -> list[str]:
    """Make webhooks of the first tenant; return their paths."""
    from datetime import UTC, datetime
    from urllib.parse import urlsplit

    from django.db import connections

    from tenants.models import Tenant
    from webhooks.changes import NewWebhook, create_webhook, url_of
    from webhooks.credentials import Credentials
    from webhooks.models import AuthType

    tenant = Tenant.objects.earliest("created_at")
    expected = Credentials(
        auth_type=AuthType.HMAC, secret=SECRET.decode(), header_name="X-Hub-Signature-256"
    )
    expression = "'github:' + headers['x-github-event'] + ':' + input.action"
    paths = []
    for number in range(count):
        new = NewWebhook(
            name=f"bench-{number}",
            source_name="GITHUB",
            event_key_expression=expression,
            credentials=expected,
        )
        paths.append(urlsplit(url_of(create_webhook(tenant.id, new, datetime.now(UTC)))).path)
    connections.close_all()
    return paths


def _request(path: str, headers: dict[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(BODY)}", "", ""]).encode() + BODY


async def _load(port: int, requests: Sequence[bytes], seconds: float) -> int:
    """Send over some connections, one request after the other on each; return how many were answered."""
    deadline = time.monotonic() + seconds
    done = await asyncio.gather(
        *(_connection(port, requests, number, deadline) for number in range(CONNECTIONS))
    )
    return sum(done)


async def _connection(port: int, requests: Sequence[bytes], number: int, deadline: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done = 0
    while time.monotonic() < deadline:
        writer.write(requests[(number + done * CONNECTIONS) % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not accepted: {head.decode()}")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        done += 1
    writer.close()
    return done
