"""Concurrency groups: who holds their slots, who waits for one, who is cancelled for another.

Slots of groups have nothing to do with slots of workers: a task holds one in every group of its chain
from before it enters its action's queue until it ends.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple
from uuid import UUID

from engine.domain.assignment import Claim, Claims, GroupId, ReadyTask, score_of
from engine.states import ConcurrencyStrategy


class Settled(NamedTuple):
    """What groups decided: attempts that hold all their slots, and attempts to be cancelled."""

    admitted: list[ReadyTask]
    cancelled: list[ReadyTask]


class _Member:
    """A task in its groups. It holds the slots of the first `held` groups of its chain."""

    __slots__ = ("held", "is_leaving", "task")

    def __init__(self, task: ReadyTask, held: int) -> None:
        self.task = task
        self.held = held
        self.is_leaving = False
        """Its cancellation was decided: it waits for nothing, and holds its slots until it ends."""

    @property
    def chain(self) -> tuple[Claim, ...]:
        return _claims(self.task).chain


class _Group:
    """The tasks of one key of one strategy. Nobody waits while a slot is free, once settled."""

    __slots__ = ("claim", "holders", "waiting")

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.holders: dict[int, _Member] = {}
        self.waiting: list[tuple[int, int]] = []
        """(rank, task) in order, best last."""


class ConcurrencyGroups:
    """All groups of a tenant.

    What changes is noted, and decided in `settle`: an attempt that ends and whose next attempt arrives
    before that keeps its slots. Every waiting task is in memory. The slots of a group that are held
    are exactly those of the members that hold them, so nothing can leak that is not a known task.
    """

    def __init__(self) -> None:
        self._members: dict[int, _Member] = {}
        self._groups: dict[GroupId, _Group] = {}
        self._unsettled: dict[GroupId, None] = {}
        self._ended: dict[int, int] = {}
        """Attempts that ended since groups were settled: task and retry count."""
        self._returned: list[_Member] = []
        """Holders of all their slots that are to be queued again."""

    # What happened

    def has_room(self, claims: Claims) -> bool:
        """Whether a new task would get all its slots at once."""
        for claim in claims.chain:
            group = self._groups.get(claim.group)
            if group and (group.waiting or len(group.holders) >= claim.max_runs):
                return False
        return True

    def hold(self, task: ReadyTask) -> None:
        """Give a task all its slots, whether or not there is room: it runs already."""
        self.forget(task.id)
        chain = _claims(task).chain
        member = self._members[task.id.int] = _Member(task, len(chain))
        for claim in chain:
            self._group(claim).holders[task.id.int] = member
            self._unsettled[claim.group] = None

    def arrive(self, task: ReadyTask) -> None:
        """Take note of an attempt that wants to be queued; one known, or older than that, is ignored."""
        key = task.id.int
        member = self._members.get(key)
        if member is None:
            self._wait(key, _Member(task, 0))
            return
        if member.task.retry_count >= task.retry_count:
            return
        self._ended.pop(key, None)
        if member.held < len(member.chain):
            self.forget(task.id)
            self._wait(key, _Member(task, 0))
            return
        member.task, member.is_leaving = task, False
        self._returned.append(member)
        for claim in member.chain:
            self._unsettled[claim.group] = None

    def end(self, task_id: UUID, retry_count: int) -> None:
        """Take note that this attempt, and any before it, ended."""
        member = self._members.get(task_id.int)
        if member is not None and member.task.retry_count <= retry_count:
            self._ended[task_id.int] = retry_count

    def forget(self, task_id: UUID) -> None:
        """Free everything a task holds or waits for."""
        key = task_id.int
        self._ended.pop(key, None)
        member = self._members.pop(key, None)
        if member is None:
            return
        self._leave_line(key, member)
        for claim in member.chain[: member.held]:
            del self._groups[claim.group].holders[key]
            self._unsettled[claim.group] = None
        for claim in member.chain:
            self._drop_if_empty(claim.group)

    # Decisions

    def settle(self) -> Settled:
        """Fill free slots, and cancel who has to go. Deciding twice decides nothing new."""
        settled = Settled([], [])
        for key in list(self._ended):
            self.forget(UUID(int=key))
        while self._unsettled:
            group_id = next(iter(self._unsettled))
            del self._unsettled[group_id]
            group = self._groups.get(group_id)
            if group is None:
                continue
            if group.claim.strategy is ConcurrencyStrategy.CANCEL_IN_PROGRESS:
                self._cancel_outdone(group, settled)
            self._fill(group, settled)
            if group.claim.strategy is ConcurrencyStrategy.CANCEL_NEWEST:
                self._cancel(group.claim, [key for _, key in group.waiting], settled)
        settled.admitted.extend(
            member.task
            for member in self._returned
            if not member.is_leaving and self._members.get(member.task.id.int) is member
        )
        self._returned.clear()
        settled.admitted[:] = [
            task for task in settled.admitted if not self._members[task.id.int].is_leaving
        ]
        return settled

    def _fill(self, group: _Group, settled: Settled) -> None:
        while group.waiting and len(group.holders) < group.claim.max_runs:
            _, key = group.waiting.pop()
            member = self._members[key]
            group.holders[key] = member
            member.held += 1
            if member.held == len(member.chain):
                settled.admitted.append(member.task)
            else:
                self._line_up(key, member)

    def _cancel_outdone(self, group: _Group, settled: Settled) -> None:
        """Keep the best `max_runs` of all who hold a slot or wait for one."""
        present = [
            (_rank(group.claim, member.task), key)
            for key, member in group.holders.items()
            if not member.is_leaving
        ]
        present += group.waiting
        excess = len(present) - group.claim.max_runs
        if excess > 0:
            present.sort()
            self._cancel(group.claim, [key for _, key in present[:excess]], settled)

    def _cancel(self, claim: Claim, keys: list[int], settled: Settled) -> None:
        for key in keys:
            member = self._members[key]
            self._leave_line(key, member)
            member.is_leaving = True
            settled.cancelled.append(member.task)

    # Lines

    def _wait(self, key: int, member: _Member) -> None:
        self._members[key] = member
        self._line_up(key, member)

    def _line_up(self, key: int, member: _Member) -> None:
        """Ask for the next slot of the chain."""
        claim = member.chain[member.held]
        insort(self._group(claim).waiting, (_rank(claim, member.task), key))
        self._unsettled[claim.group] = None

    def _leave_line(self, key: int, member: _Member) -> None:
        if member.is_leaving or member.held == len(member.chain):
            return
        claim = member.chain[member.held]
        waiting = self._groups[claim.group].waiting
        del waiting[bisect_left(waiting, (_rank(claim, member.task), key))]

    def _group(self, claim: Claim) -> _Group:
        group = self._groups.get(claim.group)
        if group is None:
            group = self._groups[claim.group] = _Group(claim)
        return group

    def _drop_if_empty(self, group_id: GroupId) -> None:
        group = self._groups.get(group_id)
        if group is not None and not group.holders and not group.waiting:
            del self._groups[group_id]

    # Questions

    def knows(self, task: ReadyTask) -> bool:
        """Whether this attempt holds slots or waits for one."""
        member = self._members.get(task.id.int)
        return member is not None and member.task.retry_count == task.retry_count

    def attempts(self) -> list[tuple[UUID, int]]:
        """Return (task id, retry count) of every task in a group."""
        return [(member.task.id, member.task.retry_count) for member in self._members.values()]

    def waiting(self) -> list[ReadyTask]:
        """Return the tasks that wait for a slot."""
        return [m.task for m in self._members.values() if m.held < len(m.chain)]

    def blocking(self, task_id: UUID) -> Claim | None:
        """Return the claim of the group in which a task waits for a slot."""
        member = self._members.get(task_id.int)
        if member is None or member.held == len(member.chain):
            return None
        return member.chain[member.held]

    def holders(self, group_id: GroupId) -> list[UUID]:
        """Return the tasks that hold a group's slots."""
        group = self._groups.get(group_id)
        return [] if group is None else [UUID(int=key) for key in group.holders]

    def group_count(self) -> int:
        return len(self._groups)


def _claims(task: ReadyTask) -> Claims:
    assert task.claims is not None
    return task.claims


def _rank(claim: Claim, task: ReadyTask) -> int:
    """Return the task's place in a group; greater is better."""
    if claim.strategy is ConcurrencyStrategy.CANCEL_IN_PROGRESS:
        claims = _claims(task)
        return ((claims.priority if claim.counts_priority else 0) << 128) + claims.arrival
    return score_of(task)
