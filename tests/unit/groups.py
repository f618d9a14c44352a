"""Claims on concurrency groups, tasks that make them, and a scheduler for both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sized
from typing import Protocol
from uuid import UUID

from engine.domain.assignment import Claim, Claims, GroupId, ReadyTask
from engine.domain.scheduler.machine import TenantScheduler
from engine.states import ConcurrencyStrategy

ROUND_ROBIN = ConcurrencyStrategy.GROUP_ROUND_ROBIN
IN_PROGRESS = ConcurrencyStrategy.CANCEL_IN_PROGRESS
NEWEST = ConcurrencyStrategy.CANCEL_NEWEST
EXCEPT_NEWEST = ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_NEWEST
EXCEPT_OLDEST = ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_OLDEST
VERSION, STEP, WORKER = UUID(int=1), UUID(int=2), UUID(int=3)


def claim(
    key: str = "k",
    max_runs: int = 1,
    strategy: ConcurrencyStrategy = ROUND_ROBIN,
    *,
    number: int = 0,
    ordinal: int = 0,
    counts_priority: bool = False,
) -> Claim:
    return Claim(GroupId(VERSION, ordinal, number, key), max_runs, strategy, counts_priority)


def task(
    number: int, *chain: Claim, retry_count: int = 0, priority: int = 1, arrival: int | None = None
) -> ReadyTask:
    claims = Claims(chain or (claim(),), priority, arrival or number)
    return ReadyTask(
        UUID(int=number), retry_count, "a", priority, {"default": 1}, VERSION, STEP, None, claims
    )


def scheduler_with_worker(slots: int) -> TenantScheduler:
    scheduler = TenantScheduler()
    scheduler.workers.upsert(
        WORKER,
        actions=frozenset(["a"]),
        slots={"default": slots},
        is_active=True,
        is_paused=False,
        last_heartbeat=0.0,
    )
    return scheduler


class World(Protocol):
    """What a database would hold, beside the scheduler under test."""

    scheduler: TenantScheduler
    done: Counter[str]

    @property
    def rows(self) -> Sized: ...

    @property
    def running(self) -> Sized: ...

    def finish(self) -> None:
        """Let something that runs come to its end."""

    def drain(self) -> None: ...

    def check_caps(self) -> None: ...


def play_out(world: World, keys: Iterable[str]) -> None:
    """Finish everything: each of the keys gets its turn, no cap is exceeded, nothing is left behind."""
    finished = Counter(world.done)
    for _ in range(10_000):
        if not world.rows:
            break
        assert world.running, "everything that is left waits"
        world.finish()
        world.drain()
        world.check_caps()
    assert not world.rows
    assert all(world.done[key] > finished[key] for key in keys)
    groups = world.scheduler.groups
    assert (groups.group_count(), groups.attempts(), groups.runs()) == (0, [], [])
    assert world.scheduler.workers.running_count() == world.scheduler.waiting_count() == 0
