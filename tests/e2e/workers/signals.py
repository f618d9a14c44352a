"""How a task under test tells the test something, and waits for its permission."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

POLL_SECONDS = 0.02


def directory() -> Path:
    return Path(os.environ["E2E_DIRECTORY"])


def worker_name() -> str:
    return os.environ["E2E_WORKER_NAME"]


def mark(name: str, text: str = "") -> None:
    """Append a line; short appends of several processes do not mix."""
    with (directory() / f"{name}.marks").open("a") as marks:
        marks.write(f"{text}\n")


def is_open(gate: str) -> bool:
    return (directory() / f"{gate}.gate").exists()


def open_gate(gate: str) -> None:
    """What a client says to a task of another process."""
    (directory() / f"{gate}.gate").touch()


async def pass_gate(name: str) -> None:
    """Return once the test has opened the gate."""
    while not is_open(name):  # noqa: ASYNC110  (the other side is another process)
        await asyncio.sleep(POLL_SECONDS)
