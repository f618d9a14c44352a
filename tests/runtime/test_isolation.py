"""What is tried together is tried apart when that fails, and an outage is nobody's fault."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine.errors import LostRace, NotSent, Unavailable
from engine.runtime.loops import isolation
from engine.runtime.loops.isolation import SetAside, each_alone, isolate, work_off


class Work:
    """Numbers to be done; those that are bad break whatever they are done with."""

    def __init__(self, items: Sequence[int], bad: Sequence[int], error: Exception) -> None:
        self.items, self.bad, self.error = list(items), set(bad), error
        self.done: list[int] = []
        self.aside: list[int] = []
        self.reads = 0

    async def do(self, part: Sequence[int] | None) -> int:
        part = self.items if part is None else part
        if self.bad & set(part):
            raise self.error
        self.done += part
        return len(part)

    async def due(self) -> list[int]:
        self.reads += 1
        return self.items

    async def set_aside(self, item: int, error: Exception) -> None:
        self.aside.append(item)
        raise error  # it cannot even be set aside


@pytest.mark.parametrize("bad", [[], [0], [6], [2, 3], [0, 1, 2, 3, 4, 5, 6]])
async def test_bad_items_are_alone(bad: list[int]) -> None:
    work = Work(range(7), bad, ValueError("bad"))
    assert await work_off("test", work.do, work.due, work.set_aside) == 7 - len(bad)
    assert work.done == [item for item in range(7) if item not in bad]
    assert work.aside == bad
    assert work.reads == (1 if bad else 0), "what works costs no second look"


async def test_a_failure_that_no_item_explains_is_raised() -> None:
    work = Work([], [], ValueError("bad"))

    async def fail(part: Sequence[int] | None) -> int:
        raise work.error

    with pytest.raises(ValueError, match="bad"):
        await work_off("test", fail, work.due, work.set_aside)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("away"),
        NotSent("busy"),
        LostRace("lost"),
    ],
)
async def test_an_outage_sets_nothing_aside(error: Exception) -> None:
    work = Work(range(4), [2], error)
    with pytest.raises(type(error)):
        await isolate("test", work.items, work.do, work.set_aside)
    with pytest.raises(type(error)):
        await work_off("test", work.do, work.due, work.set_aside)
    assert work.aside == []


async def test_each_is_done_whatever_became_of_those_before() -> None:
    done = []

    async def do(item: int) -> None:
        if item == 1:
            raise KeyError(item)
        done.append(item)

    await each_alone("test", range(3), do)
    assert done == [0, 2]


async def test_what_is_set_aside_comes_up_again_and_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolation, "_MOST_SET_ASIDE", 3)
    aside: SetAside[int] = SetAside()
    for key in range(5):
        aside.add(key)
    assert set(aside.now()) == {2, 3, 4}
    loop = asyncio.get_running_loop()
    later = loop.time() + isolation.SET_ASIDE_SECONDS
    monkeypatch.setattr(loop, "time", lambda: later + 1.0)
    assert not aside.now()
