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
    Obstacle,
    ReadyTask,
    Reason,
    RunClaims,
    SharedStrategy,
)
from engine.domain.scheduler.endings import Endings
from engine.domain.scheduler.group import Group
from engine.domain.scheduler.group_table import GroupTable
from engine.domain.scheduler.members import Member, RunMember, TaskMember, as_task
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


class ConcurrencyGroups:
    """Decides who gets the slots of a tenant's groups.

    What changes is noted, and decided in `settle`: an attempt that ends and whose next attempt arrives
    before that keeps its slots. Every waiting task is in memory.
    """

    def __init__(self) -> None:
        self._table = GroupTable()
        self._members = Membership(self._table)
        self._fresh: set[int] = set()
        """Tasks that arrived since groups were settled."""
        self._ended: dict[int, int] = {}
        """Attempts that ended since groups were settled: task and retry count."""
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
            known = self._members.runs.get(run.id)
            if known is None:
                if not self._table.have_room(run):
                    return False
            elif known.is_leaving or not known.has_all or known.claims.arrival != run.arrival:
                return False
        return self._table.have_room(claims)

    def hold(self, task: ReadyTask) -> None:
        """Give a task all its slots, whether or not there is room: it runs already."""
        self.forget(task.id)
        member = self._members.join(task)
        if member.asked.run is not None:
            self.hold_run(member.asked.run)
            self._members.join_run(member, member.asked.run)
        self._table.give_all(member)

    def hold_run(self, claims: RunClaims) -> None:
        """Give a run all its slots: it has begun."""
        run = self._members.run_of(claims)
        if not run.has_all:
            self._table.leave_line(run)
            self._table.give_all(run)
            self._members.ask_for_tasks(run)

    def arrive(self, task: ReadyTask) -> None:
        """Take note of an attempt that wants to be queued; one known, or older than that, is ignored."""
        if self.endings.cover(task):
            return
        key = task.id.int
        member = self._members.tasks.get(key)
        if member is not None:
            if member.is_leaving and member.task.retry_count == task.retry_count:
                return
            if self.knows(task.id, task.retry_count) or member.task.retry_count > task.retry_count:
                return
            self._ended.pop(key, None)
            if member.has_all and not member.is_pending and member.is_of_same_run(task):
                self._pass_on(member, task)
                return
            self._members.forget(key)
        member = self._members.join(task)
        self._fresh.add(key)
        if member.asked.run is not None:
            run = self._members.join_run(member, member.asked.run)
            if run.is_leaving or not run.has_all:
                member.is_pending = True
                return
        self._members.ask(member)

    def _pass_on(self, member: TaskMember, task: ReadyTask) -> None:
        """Let the next attempt have the slots of the one before."""
        member.task, member.is_leaving = task, False
        self._fresh.add(member.key)
        self._members.passing.append(member)
        for group in member.held:
            self._table.unsettle(group)

    def rest(self, task: ReadyTask) -> None:
        """Take note of an attempt whose back-off has yet to end: its task gives up its slots, and no more.

        It stays as old as it is, so that who may supersede it does, and arrives when it is to be queued.
        """
        member = self._members.tasks.get(task.id.int)
        if self.endings.cover(task) or (
            member is not None and member.task.retry_count >= task.retry_count
        ):
            return
        self.forget(task.id)
        member = self._members.join(task)
        if member.asked.run is not None:
            self._members.join_run(member, member.asked.run)
        self._table.rest(member)

    def forget(self, task_id: UUID) -> None:
        """Free everything a task holds or waits for, and its run's place if no other task of it waits."""
        self._ended.pop(task_id.int, None)
        self._members.forget(task_id.int)

    def end(self, task_id: UUID, retry_count: int) -> None:
        """Take note that this attempt, and any before it, ended."""
        self.endings.note(task_id, retry_count)
        member = self._members.tasks.get(task_id.int)
        if member is not None and member.task.retry_count <= retry_count:
            self._ended[task_id.int] = retry_count

    def end_run(self, run_id: UUID, arrival: int) -> None:
        """Free what a run holds or waits for; one that was replayed since has a later arrival."""
        self.endings.note(run_id, arrival)
        run = self._members.runs.get(run_id.int)
        if run is not None and run.claims.arrival <= arrival:
            self._members.drop_run(run)

    def share(self, strategies: Mapping[str, SharedStrategy]) -> None:
        """Follow what is registered now for the whole tenant, by name."""
        self._table.share(strategies)

    # Decisions

    def settle(self) -> Settled:
        """Fill free slots, and cancel who has to go. Deciding twice decides nothing new.

        Groups take turns: each admits one before any admits another.
        """
        settled = Settled([], [], [], [], [])
        if self._is_frozen or not self._has_changed():
            return settled
        self._let_go()
        while unsettled := self._table.take_unsettled():
            for group in unsettled:
                if self._settle_group(group, settled):
                    self._table.unsettle(group)
        self._admit(settled)
        self._fresh.clear()
        return settled

    def _has_changed(self) -> bool:
        return bool(
            self._fresh or self._ended or self._members.passing or self._table.has_unsettled()
        )

    def _let_go(self) -> None:
        """Free what attempts held that ended; a later attempt that came meanwhile stays."""
        for key, retry_count in self._ended.items():
            member = self._members.tasks.get(key)
            if member is not None and member.task.retry_count <= retry_count:
                self._members.forget(key)
        self._ended.clear()

    def _admit(self, settled: Settled) -> None:
        passing, tasks = self._members.passing, self._members.tasks
        for member in passing:
            if not member.is_withdrawn and tasks.get(member.key) is member:
                settled.admitted.append(member.admit())
        passing.clear()

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
        group.give_slot(member)
        self._members.give_turn(member)
        tasks: Iterable[TaskMember] = (
            member.tasks.values() if isinstance(member, RunMember) else [as_task(member)]
        )
        settled.moved.extend(each.task for each in tasks if each.key not in self._fresh)
        self._members.ask(member)

    def _cancel_superseded(self, group: Group, settled: Settled) -> None:
        """Keep the best of all who hold a slot, wait for one or rest, as many as there are slots."""
        there = (*group.holders.values(), *group.resting.values())
        staying = [member for member in there if not member.is_leaving]
        if len(staying) + group.waiting_count > group.limit:
            present = sorted([*staying, *group.waiting()], key=group.rank)
            self._cancel(group, present[: -group.limit], settled)

    def _cancel(self, group: Group, members: Iterable[Member], settled: Settled) -> None:
        for member in members:
            self._table.leave_line(member)
            member.is_leaving = True
            if isinstance(member, RunMember):
                settled.cancelled_runs.append(member.claims)
                settled.withdrawn.extend(each.task for each in member.tasks.values())
            else:
                settled.cancelled.append(as_task(member).task.without_turn())

    # Questions

    def knows(self, task_id: UUID, retry_count: int, is_resting: bool = False) -> bool:
        """Whether this attempt holds slots or waits for one; or else, whether it rests."""
        member = self._members.tasks.get(task_id.int)
        if member is None or member.task.retry_count != retry_count:
            return False
        return member.is_resting is is_resting

    def attempts(self) -> list[tuple[UUID, int]]:
        """Return (task id, retry count) of every task in a group."""
        return [
            (member.task.id, member.task.retry_count) for member in self._members.tasks.values()
        ]

    def runs(self) -> list[tuple[UUID, int]]:
        """Return (run id, arrival) of every run that holds slots or waits for them."""
        return [(UUID(int=key), run.claims.arrival) for key, run in self._members.runs.items()]

    def waiting(self) -> list[ReadyTask]:
        """Return the tasks that wait for a slot, their own or their run's, or were not admitted yet."""
        passing = {m.key for m in self._members.passing} - self._ended.keys()
        return [
            m.task
            for key, m in self._members.tasks.items()
            if m.is_pending or key in passing or not (m.has_all or m.is_resting)
        ]

    def blocking(self, task_id: UUID) -> Claim | None:
        """Return the claim of the group in which a task, or its run, waits for a slot."""
        task = self._members.tasks.get(task_id.int)
        member: Member | None = task.run if task is not None and task.is_pending else task
        if member is None or member.has_all or (task is not None and task.is_resting):
            return None
        return member.next_claim

    def count_ahead(self, task_id: UUID, claim: Claim) -> int:
        """Return how many wait in a group before a task that waits there, or its run."""
        task, group = self._members.tasks.get(task_id.int), self._table.get(claim.group)
        member: Member | None = task.run if task is not None and task.is_pending else task
        if member is None or group is None:
            return 0
        rank = group.rank(member)
        return sum(1 for other in group.waiting() if group.rank(other) > rank)

    def holders(self, group_id: GroupId) -> list[UUID]:
        """Return the tasks and runs that hold a group's slots."""
        group = self._table.get(group_id)
        return [] if group is None else [UUID(int=key) for key in group.holders]

    def limit(self, claim: Claim) -> int:
        """Return how many slots the claim's group has now."""
        group = self._table.get(claim.group)
        return claim.max_runs if group is None else group.limit

    def explain(self, task_id: UUID) -> Reason | None:
        """Return which group's slot a task, or its run, waits for; None if it waits for none."""
        claim = self.blocking(task_id)
        if claim is None:
            return None
        holders = tuple(self.holders(claim.group))
        return Reason(
            Obstacle.GROUP_FULL,
            used=len(holders),
            total=self.limit(claim),
            ahead=self.count_ahead(task_id, claim),
            group=claim.group,
            holders=holders,
        )

    def group_count(self) -> int:
        return self._table.count()


def _age(member: Member) -> tuple[int, int]:
    return (member.asked.arrival, member.key)
