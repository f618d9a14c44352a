"""Whoever runs an operation answers where new attempts may run, and takes that back if it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from engine.domain.assignment import ReadyTask
from engine.ids import new_id
from engine.store import sync_db
from engine.store.async_db import AsyncDatabase
from engine.store.leases import hold
from engine.store.placing import NO_PLACES, Places
from engine.store.query import Operation, fetch, place

TENANT, TASK, WORKER = new_id(), new_id(), new_id()
READY = ReadyTask(TASK, 0, "work:run", 1, {"default": 1}, new_id(), new_id())


class Desk:
    """Places everything, and notes what it gets back."""

    def __init__(self) -> None:
        self.given: list[Places] = []
        self.taken_back: list[tuple[Places, bool]] = []

    def place(self, ready: Sequence[tuple[UUID, ReadyTask]]) -> Places:
        places = Places({task.id: WORKER for _, task in ready}, {}, {})
        self.given.append(places)
        return places

    def take_back(self, places: Places, error: BaseException, *, is_unknown: bool) -> None:
        self.taken_back.append((places, is_unknown))


@pytest.fixture
async def database(conninfo: str) -> AsyncIterator[AsyncDatabase]:
    database = AsyncDatabase(conninfo, max_size=2)
    await database.open()
    yield database
    await database.close()


def placing(*, fails: bool = False) -> Operation[Places]:
    places = yield from place([(TENANT, READY)])
    yield from fetch(hold({}))
    if fails:
        raise ZeroDivisionError
    return places


async def test_places_are_kept_when_it_commits_and_taken_back_when_not(
    database: AsyncDatabase,
) -> None:
    desk = Desk()
    assert await database.run(placing()) == NO_PLACES, "nobody was to be asked yet"
    database.ask(desk)
    assert (await database.run(placing())).worker_of == {TASK: WORKER}
    assert desk.taken_back == []
    with pytest.raises(ZeroDivisionError):
        await database.run(placing(fails=True))
    assert desk.taken_back == [(desk.given[1], False)]
    await database.run(placing())
    assert len(desk.taken_back) == 1


@pytest.mark.django_db
def test_elsewhere_nothing_is_placed() -> None:
    assert sync_db.run(placing()) == NO_PLACES
