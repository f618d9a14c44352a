"""Work that apps above the engine have its process do: they say so at their start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from engine.store.async_db import AsyncDatabase


class Background(Protocol):
    """Work in small batches, of which every engine does some: who does what, the rows must say."""

    name: str

    async def tick(self) -> bool:
        """Do one bounded batch; True if there may be more."""

    async def wait(self) -> None:
        """Wait for the next turn."""

    async def close(self) -> None:
        """End what is under way, as the engine stops."""


Maker = Callable[[AsyncDatabase], Background]

_makers: list[Maker] = []


def add_background(make: Maker) -> None:
    """`make` is called once in each engine."""
    _makers.append(make)


def make_background(database: AsyncDatabase) -> list[Background]:
    return [make(database) for make in _makers]
