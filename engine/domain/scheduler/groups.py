"""Concurrency groups: who holds their slots, who waits for one, who is cancelled for another.

Slots of groups have nothing to do with slots of workers: a task holds one in every group of its chain
from before it enters its action's queue until it ends. A run of several tasks holds the slots of its
workflow's groups from when its first task asks until it ends itself; its other tasks pass freely.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from engine.domain.assignment import (
    Claim,
    Claims,
    GroupId,
    ReadyTask,
    RunClaims,
    SharedStrategy,
)
from engine.domain.scheduler.groups_line import (
    Endings,
    Group,
    Member,
    RunMember,
    TaskMember,
    as_task,
)
from engine.domain.scheduler.membership import Membership
from engine.states import ConcurrencyStrategy


class Settled(NamedTuple):
    """What groups decided.

    `admitted` attempts hold all their slots. `cancelled` attempts, and `cancelled_runs` whole, have no
    place; `withdrawn` are the tasks of those runs. `moved` attempts waited, and do not wait where they
    did any more.
    """

    admitted: list[ReadyTask]
    cancelled: list[ReadyTask]
    cancelled_runs: list[RunClaims]
    withdrawn: list[ReadyTask]
    moved: list[ReadyTask]


class ConcurrencyGroups(Membership):
    """All groups of a tenant.

    What changes is noted, and decided in `settle`: an attempt that ends and whose next attempt arrives
    before that keeps its slots. Every waiting task is in memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self._fresh: set[int] = set()
        """Tasks that arrived since groups were settled."""
        self.endings = Endings()
        self._is_frozen = False

    def freeze(self) -> None:
        """Give no slot to anybody until all who wait are known."""
        self._is_frozen = True

    def thaw(self) -> None:
        self._is_frozen = False

    # What happened

    def has_room(self, claims: Claims) -> bool:
        """Whether a new task would get all its slots at once."""
        if self._is_frozen:
            return False
        run = claims.run
        if run is not None:
            known = self._runs.get(run.id)
            if known is None:
                if not self._have_room(run):
                    return False
            elif known.is_leaving or not known.has_all or known.claims.arrival != run.arrival:
                return False
        return self._have_room(claims)

    def _have_room(self, asked: Claims | RunClaims) -> bool:
        for claim in asked.chain:
            group = self._groups.get(claim.group)
            if group is None:
                continue
            if not group.may_be_joined(group.limit_with(claim, asked.arrival)):
                return False
        return True

    def hold(self, task: ReadyTask) -> None:
        """Give a task all its slots, whether or not there is room: it runs already."""
        self.forget(task.id)
        member = self._join(task)
        if member.asked.run is not None:
            self.hold_run(member.asked.run)
            self._join_run(member, member.asked.run)
        self._give_all(member)

    def hold_run(self, claims: RunClaims) -> None:
        """Give a run all its slots: it has begun."""
        run = self._run_of(claims)
        if not run.has_all:
            self._leave_line(run)
            self._give_all(run)
            self._let_pass(run)

    def arrive(self, task: ReadyTask) -> None:
        """Take note of an attempt that wants to be queued; one known, or older than that, is ignored."""
        if self.endings.cover(task):
            return
        key = task.id.int
        member = self._tasks.get(key)
        if member is not None:
            if member.is_leaving and member.task.retry_count == task.retry_count:
                return
            if self.knows(task.id, task.retry_count) or member.task.retry_count > task.retry_count:
                return
            self._ended.pop(key, None)
            if member.has_all and not member.is_pending and self._is_of_run(member, task):
                member.task, member.is_leaving = task, False
                self._fresh.add(key)
                self._passing.append(member)
                for claim in member.chain:
                    self._unsettled[claim.group] = None
                return
            self.forget(task.id)
        member = self._join(task)
        self._fresh.add(key)
        if member.asked.run is not None:
            run = self._join_run(member, member.asked.run)
            if run.is_leaving or not run.has_all:
                member.is_pending = True
                return
        self._ask(member)

    def rest(self, task: ReadyTask) -> None:
        """Take note of an attempt whose back-off has yet to end: its task gives up its slots, and no more.

        It stays as old as it is, so that who may outdo it does, and arrives when it is to be queued.
        """
        member = self._tasks.get(task.id.int)
        if self.endings.cover(task) or (
            member is not None and member.task.retry_count >= task.retry_count
        ):
            return
        self.forget(task.id)
        member = self._join(task)
        if member.asked.run is not None:
            self._join_run(member, member.asked.run)
        self._rest(member)

    def end(self, task_id: UUID, retry_count: int) -> None:
        """Take note that this attempt, and any before it, ended."""
        self.endings.note(task_id, retry_count)
        member = self._tasks.get(task_id.int)
        if member is not None and member.task.retry_count <= retry_count:
            self._ended[task_id.int] = retry_count

    def end_run(self, run_id: UUID, arrival: int) -> None:
        """Free what a run holds or waits for; one that was replayed since has a later arrival."""
        self.endings.note(run_id, arrival)
        run = self._runs.get(run_id.int)
        if run is not None and run.claims.arrival <= arrival:
            self._drop_run(run)

    def share(self, strategies: Mapping[str, SharedStrategy]) -> None:
        """Follow what is registered now for the whole tenant, by name."""
        changed = {name for name, found in strategies.items() if self._shared.get(name) != found}
        self._shared = strategies
        if changed:
            for group_id, group in self._groups.items():
                if group_id.name in changed:
                    group.share(strategies[group_id.name])
                    self._unsettled[group_id] = None

    # Decisions

    def settle(self) -> Settled:
        """Fill free slots, and cancel who has to go. Deciding twice decides nothing new.

        Groups take turns: each admits one before any admits another.
        """
        settled = Settled([], [], [], [], [])
        if self._is_frozen:
            return settled
        for key in list(self._ended):
            self.forget(UUID(int=key))
        while self._unsettled:
            unsettled, self._unsettled = self._unsettled, {}
            for group_id in unsettled:
                if (group := self._groups.get(group_id)) and self._settle_group(group, settled):
                    self._unsettled[group_id] = None
        for member in self._passing:
            if not self._is_leaving(member) and self._tasks.get(member.key) is member:
                settled.admitted.append(member.admit())
        self._passing.clear()
        self._fresh.clear()
        return settled

    def _settle_group(self, group: Group, settled: Settled) -> bool:
        """Fill one slot, or cancel who has to go; return whether to come back for the next slot."""
        if group.strategy is ConcurrencyStrategy.CANCEL_IN_PROGRESS:
            self._cancel_superseded(group, settled)
        if not group.waiting_count:
            return False
        if len(group.holders) < group.limit:
            self._fill(group, group.take_first(), settled)
            return True
        if group.strategy is ConcurrencyStrategy.CANCEL_NEWEST:
            self._cancel(group, group.newcomers(), settled)
        elif group.strategy is ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_NEWEST:
            self._cancel(group, sorted(group.newcomers(), key=_age)[:-1], settled)
        elif group.strategy is ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_OLDEST:
            self._cancel(group, sorted(group.newcomers(), key=_age)[1:], settled)
        return False

    def _fill(self, group: Group, member: Member, settled: Settled) -> None:
        group.holders[member.key] = member
        member.held += 1
        self._give_turn(member)
        tasks: Iterable[TaskMember] = (
            member.tasks.values() if isinstance(member, RunMember) else [as_task(member)]
        )
        settled.moved.extend(each.task for each in tasks if each.key not in self._fresh)
        self._ask(member)

    def _cancel_superseded(self, group: Group, settled: Settled) -> None:
        """Keep the best of all who hold a slot, wait for one or rest, as many as there are slots."""
        there = (*group.holders.values(), *group.resting.values())
        staying = [member for member in there if not member.is_leaving]
        if len(staying) + group.waiting_count > group.limit:
            present = sorted([*staying, *group.waiting()], key=group.rank)
            self._cancel(group, present[: -group.limit], settled)

    def _cancel(self, group: Group, members: Iterable[Member], settled: Settled) -> None:
        for member in members:
            self._leave_line(member)
            member.is_leaving = True
            if isinstance(member, RunMember):
                settled.cancelled_runs.append(member.claims)
                settled.withdrawn.extend(each.task for each in member.tasks.values())
            else:
                settled.cancelled.append(as_task(member).task.without_turn())

    # Questions

    def knows(self, task_id: UUID, retry_count: int, is_resting: bool = False) -> bool:
        """Whether this attempt holds slots or waits for one; or else, whether it rests."""
        member = self._tasks.get(task_id.int)
        if member is None or member.task.retry_count != retry_count:
            return False
        return member.is_resting is is_resting

    def attempts(self) -> list[tuple[UUID, int]]:
        """Return (task id, retry count) of every task in a group."""
        return [(member.task.id, member.task.retry_count) for member in self._tasks.values()]

    def runs(self) -> list[tuple[UUID, int]]:
        """Return (run id, arrival) of every run that holds slots or waits for them."""
        return [(UUID(int=key), run.claims.arrival) for key, run in self._runs.items()]

    def waiting(self) -> list[ReadyTask]:
        """Return the tasks that wait for a slot, their own or their run's, or were not admitted yet."""
        passing = {m.key for m in self._passing} - self._ended.keys()
        return [
            m.task
            for key, m in self._tasks.items()
            if m.is_pending or key in passing or not (m.has_all or m.is_resting)
        ]

    def blocking(self, task_id: UUID) -> Claim | None:
        """Return the claim of the group in which a task, or its run, waits for a slot."""
        task = self._tasks.get(task_id.int)
        member: Member | None = task.run if task is not None and task.is_pending else task
        if member is None or member.has_all or (task is not None and task.is_resting):
            return None
        return member.chain[member.held]

    def count_ahead(self, task_id: UUID, claim: Claim) -> int:
        """Return how many wait in a group before a task that waits there, or its run."""
        task, group = self._tasks.get(task_id.int), self._groups.get(claim.group)
        member: Member | None = task.run if task is not None and task.is_pending else task
        if member is None or group is None:
            return 0
        rank = group.rank(member)
        return sum(1 for other in group.waiting() if group.rank(other) > rank)

    def holders(self, group_id: GroupId) -> list[UUID]:
        """Return the tasks and runs that hold a group's slots."""
        group = self._groups.get(group_id)
        return [] if group is None else [UUID(int=key) for key in group.holders]

    def limit(self, claim: Claim) -> int:
        """Return how many slots the claim's group has now."""
        group = self._groups.get(claim.group)
        return claim.max_runs if group is None else group.limit

    def group_count(self) -> int:
        return len(self._groups)


def _age(member: Member) -> tuple[int, int]:
    return (member.asked.arrival, member.key)
