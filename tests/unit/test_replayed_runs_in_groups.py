"""A run that is replayed arrives anew in its concurrency groups: what is said of it before does not count."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.domain.assignment import WHOLE_RUN, Claims, ReadyTask, RunClaims
from engine.domain.scheduler.groups import ConcurrencyGroups
from tests.unit.groups import STEP, VERSION, claim

RUN, OTHER = 100, 200


def run(number: int, arrival: int) -> RunClaims:
    return RunClaims(number, (claim(ordinal=WHOLE_RUN),), 1, arrival)


def task(number: int, of: RunClaims, retry_count: int = 0) -> ReadyTask:
    claims = Claims((), 1, of.arrival, of)
    return ReadyTask(
        UUID(int=number), retry_count, "a", 1, {"default": 1}, VERSION, STEP, None, claims
    )


def admitted(groups: ConcurrencyGroups, *tasks: ReadyTask) -> list[int]:
    for each in tasks:
        groups.arrive(each)
    return sorted(each.id.int for each in groups.settle().admitted)


def end_run(groups: ConcurrencyGroups, number: int, arrival: int) -> list[int]:
    groups.end_run(UUID(int=number), arrival)
    return admitted(groups)


@pytest.fixture
def groups() -> ConcurrencyGroups:
    return ConcurrencyGroups()


@pytest.mark.parametrize("arrival", [101, 299])
def test_the_end_before_a_replay_frees_nothing_of_the_replayed(
    arrival: int, groups: ConcurrencyGroups
) -> None:
    assert admitted(groups, task(1, run(RUN, 300))) == [1]
    assert admitted(groups, task(2, run(OTHER, 400))) == []
    assert end_run(groups, RUN, arrival) == []
    assert groups.runs() == [(UUID(int=RUN), 300), (UUID(int=OTHER), 400)]
    assert end_run(groups, RUN, 300) == [2]


def test_an_end_told_later_than_it_happened_frees_what_arrived_before(
    groups: ConcurrencyGroups,
) -> None:
    assert admitted(groups, task(1, run(RUN, 300)), task(2, run(OTHER, 400))) == [1]
    assert end_run(groups, RUN, 301) == [2]


def test_a_replay_gives_up_its_slot_and_asks_anew(groups: ConcurrencyGroups) -> None:
    assert admitted(groups, task(1, run(OTHER, 200))) == [1]
    assert admitted(groups, task(2, run(RUN, 250))) == []
    assert admitted(groups, task(1, run(OTHER, 300), retry_count=1)) == [2]
    assert end_run(groups, OTHER, 200) == []
    assert end_run(groups, RUN, 250) == [1]


def test_a_task_of_the_run_before_its_replay_does_not_move_it(groups: ConcurrencyGroups) -> None:
    assert admitted(groups, task(1, run(RUN, 300))) == [1]
    assert admitted(groups, task(2, run(RUN, 100)), task(3, run(OTHER, 400))) == [2]
    assert groups.runs() == [(UUID(int=RUN), 300), (UUID(int=OTHER), 400)]


def test_another_task_of_the_same_arrival_keeps_the_slot(groups: ConcurrencyGroups) -> None:
    assert admitted(groups, task(1, run(OTHER, 200))) == [1]
    assert admitted(groups, task(2, run(RUN, 250))) == []
    assert admitted(groups, task(3, run(OTHER, 200))) == [3]
    assert end_run(groups, OTHER, 200) == [2]
