"""A queue towards a client holds what it may, and says what becomes of the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.errors import Unavailable
from engine.runtime.outbox import Outbox


def box(**bounds: int) -> tuple[Outbox[str], list[int]]:
    room: list[int] = []
    made: Outbox[str] = Outbox(
        len,
        most_items=bounds.get("items", 100),
        most_bytes=bounds.get("bytes", 100),
        on_room=lambda: room.append(len(made)),
    )
    return made, room


async def taken(outbox: Outbox[str], count: int) -> list[str]:
    reader: AsyncIterator[str] = aiter(outbox)
    return [await anext(reader) for _ in range(count)]


async def test_it_is_bounded_in_items_and_in_bytes() -> None:
    few, _ = box(items=2)
    assert [few.put(text) for text in "abc"] == [True, True, False]
    small, _ = box(bytes=5)
    assert [small.put(text) for text in ("abc", "de", "f")] == [True, True, False]
    assert (small.bytes, len(small)) == (5, 2)
    assert await taken(small, 1) == ["abc"]
    assert small.bytes == 2
    assert small.put("ghi")


async def test_one_item_always_fits_and_urgent_ones_too() -> None:
    outbox, _ = box(bytes=2)
    assert outbox.put("larger")
    assert not outbox.put("a")
    assert outbox.put("now", is_urgent=True)
    assert await taken(outbox, 2) == ["larger", "now"]


async def test_it_tells_once_of_room_when_all_is_taken_after_something_was_not() -> None:
    outbox, room = box(items=2)
    for text in "abcd":
        outbox.put(text)
    reader = aiter(outbox)
    assert [await anext(reader), room] == ["a", []]
    assert [await anext(reader), room] == ["b", [0]]
    outbox.put("e")
    assert [await anext(reader), room] == ["e", [0]]


async def test_it_ends_after_what_waits_with_or_without_an_error() -> None:
    outbox, _ = box()
    outbox.put("a")
    outbox.end()
    assert not outbox.put("b")
    assert [text async for text in outbox] == ["a"]
    failing, _ = box()
    failing.put("a")
    failing.fail(Unavailable("too slow"))
    failing.fail(Unavailable("again"))
    assert await taken(failing, 1) == ["a"]
    with pytest.raises(Unavailable, match="too slow"):
        await taken(failing, 1)


async def test_a_waiting_reader_is_woken() -> None:
    outbox, _ = box()
    reading = asyncio.create_task(taken(outbox, 1))
    await asyncio.sleep(0)
    outbox.put("a")
    assert await reading == ["a"]
