"""Concurrency groups: who holds their slots, who waits for one, who is cancelled for another.

Slots of groups have nothing to do with slots of workers: a task holds one in every group of its chain
from before it enters its action's queue until it ends. A run of several tasks holds the slots of its
workflow's groups from when its first task asks until it ends itself; its other tasks pass freely.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
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
from engine.domain.scheduler.groups_line import Endings, Group, Member, RunMember, TaskMember
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
    """All groups of a tenant.

    What changes is noted, and decided in `settle`: an attempt that ends and whose next attempt arrives
    before that keeps its slots. Every waiting task is in memory. The slots of a group that are held
    are exactly those of the members that hold them, so nothing can leak that is not a known task or run.
    """

    def __init__(self) -> None:
        self._tasks: dict[int, TaskMember] = {}
        self._runs: dict[int, RunMember] = {}
        self._groups: dict[GroupId, Group] = {}
        self._shared: Mapping[str, SharedStrategy] = MappingProxyType({})
        self._unsettled: dict[GroupId, None] = {}
        self._ended: dict[int, int] = {}
        """Attempts that ended since groups were settled: task and retry count."""
        self._passing: list[TaskMember] = []
        """Holders of all their slots that are to be queued."""
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
            limit = group.limit_with(claim, asked.arrival)
            if group.waiting_count or len(group.holders) >= limit:
                return False
        return True

    def hold(self, task: ReadyTask) -> None:
        """Give a task all its slots, whether or not there is room: it runs already."""
        self.forget(task.id)
        member = self._tasks[task.id.int] = TaskMember(task)
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
            if member.task.retry_count >= task.retry_count:
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
        member = self._tasks[key] = TaskMember(task)
        self._fresh.add(key)
        if member.asked.run is not None:
            run = self._join_run(member, member.asked.run)
            if run.is_leaving or not run.has_all:
                member.is_pending = True
                return
        self._ask(member)

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

    def forget(self, task_id: UUID) -> None:
        """Free everything a task holds or waits for, and its run's place if no other task of it waits."""
        key = task_id.int
        self._ended.pop(key, None)
        member = self._tasks.pop(key, None)
        if member is None:
            return
        run = member.run
        if run is not None:
            run.tasks.pop(key, None)
            if not run.tasks and not run.has_all and not run.is_leaving:
                self._drop_run(run)
        if not member.is_pending:
            self._leave(member)

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
        """Fill free slots, and cancel who has to go. Deciding twice decides nothing new."""
        settled = Settled([], [], [], [], [])
        if self._is_frozen:
            return settled
        for key in list(self._ended):
            self.forget(UUID(int=key))
        while self._unsettled:
            group_id = next(iter(self._unsettled))
            del self._unsettled[group_id]
            if group := self._groups.get(group_id):
                self._settle_group(group, settled)
        for member in self._passing:
            if not self._is_leaving(member) and self._tasks.get(member.key) is member:
                settled.admitted.append(member.task)
        self._passing.clear()
        self._fresh.clear()
        return settled

    def _settle_group(self, group: Group, settled: Settled) -> None:
        if group.strategy is ConcurrencyStrategy.CANCEL_IN_PROGRESS:
            self._cancel_outdone(group, settled)
        while group.waiting_count and len(group.holders) < group.limit:
            self._fill(group, group.take_first(), settled)
        if not group.waiting_count:
            return
        if group.strategy is ConcurrencyStrategy.CANCEL_NEWEST:
            self._cancel(group, group.waiting(), settled)
        elif group.strategy is ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_NEWEST:
            self._cancel_but(group, max(group.waiting(), key=_age), settled)
        elif group.strategy is ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_OLDEST:
            self._cancel_but(group, min(group.waiting(), key=_age), settled)

    def _fill(self, group: Group, member: Member, settled: Settled) -> None:
        group.holders[member.key] = member
        member.held += 1
        tasks: Iterable[TaskMember] = (
            member.tasks.values() if isinstance(member, RunMember) else [_as_task(member)]
        )
        settled.moved.extend(each.task for each in tasks if each.key not in self._fresh)
        self._ask(member)

    def _cancel_outdone(self, group: Group, settled: Settled) -> None:
        """Keep the best of all who hold a slot or wait for one, as many as there are slots."""
        staying = [member for member in group.holders.values() if not member.is_leaving]
        if len(staying) + group.waiting_count > group.limit:
            present = sorted([*staying, *group.waiting()], key=group.rank)
            self._cancel(group, present[: -group.limit], settled)

    def _cancel_but(self, group: Group, kept: Member, settled: Settled) -> None:
        others = [member for member in group.waiting() if member is not kept]
        self._cancel(group, others, settled)

    def _cancel(self, group: Group, members: Iterable[Member], settled: Settled) -> None:
        for member in members:
            self._leave_line(member)
            member.is_leaving = True
            if isinstance(member, RunMember):
                settled.cancelled_runs.append(member.claims)
                settled.withdrawn.extend(each.task for each in member.tasks.values())
            else:
                settled.cancelled.append(_as_task(member).task)

    # Members

    def _ask(self, member: Member) -> None:
        """Line up for the next slot of the chain, or go on without."""
        if member.has_all:
            if isinstance(member, RunMember):
                self._let_pass(member)
            else:
                self._passing.append(_as_task(member))
            return
        claim = member.chain[member.held]
        group = self._group(claim)
        group.take_limit(claim, member.asked.arrival)
        group.line_up(member)
        self._unsettled[claim.group] = None

    def _let_pass(self, run: RunMember) -> None:
        for member in run.tasks.values():
            if member.is_pending:
                member.is_pending = False
                self._ask(member)

    def _give_all(self, member: Member) -> None:
        for claim in member.chain:
            group = self._group(claim)
            group.take_limit(claim, member.asked.arrival)
            group.holders[member.key] = member
            self._unsettled[claim.group] = None
        member.held = len(member.chain)

    def _leave(self, member: Member) -> None:
        """Give up all slots, and the place in line."""
        self._leave_line(member)
        for claim in member.chain[: member.held]:
            del self._groups[claim.group].holders[member.key]
            self._unsettled[claim.group] = None
        for claim in member.chain:
            group = self._groups.get(claim.group)
            if group is not None and group.is_empty:
                del self._groups[claim.group]

    def _leave_line(self, member: Member) -> None:
        if member.place is not None:
            self._groups[member.chain[member.held].group].leave_line(member)

    def _group(self, claim: Claim) -> Group:
        group = self._groups.get(claim.group)
        if group is None:
            shared = self._shared.get(claim.group.name) if claim.group.name else None
            group = self._groups[claim.group] = Group(claim, shared)
        return group

    # Runs

    def _run_of(self, claims: RunClaims) -> RunMember:
        run = self._runs.get(claims.id)
        if run is not None and run.claims.arrival < claims.arrival:
            self._drop_run(run)
            run = None
        if run is None:
            run = self._runs[claims.id] = RunMember(claims)
            self._ask(run)
        return run

    def _join_run(self, member: TaskMember, claims: RunClaims) -> RunMember:
        run = member.run = self._run_of(claims)
        run.tasks[member.key] = member
        return run

    def _drop_run(self, run: RunMember) -> None:
        """Free what the run holds. Tasks that waited for it have ended with it, or arrive anew."""
        del self._runs[run.key]
        self._leave(run)
        for member in list(run.tasks.values()):
            member.run = None
            if member.is_pending:
                del self._tasks[member.key]

    @staticmethod
    def _is_of_run(member: TaskMember, task: ReadyTask) -> bool:
        """Whether a new attempt belongs to the run which the member knows, not to a replay of it."""
        claims = task.claims
        if claims is None or claims.run is None:
            return True
        return member.run is not None and member.run.claims.arrival == claims.run.arrival

    @staticmethod
    def _is_leaving(member: TaskMember) -> bool:
        return member.is_leaving or (member.run is not None and member.run.is_leaving)

    # Questions

    def knows(self, task_id: UUID, retry_count: int) -> bool:
        """Whether this attempt holds slots or waits for one."""
        member = self._tasks.get(task_id.int)
        return member is not None and member.task.retry_count == retry_count

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
            if m.is_pending or not m.has_all or key in passing
        ]

    def blocking(self, task_id: UUID) -> Claim | None:
        """Return the claim of the group in which a task, or its run, waits for a slot."""
        task = self._tasks.get(task_id.int)
        member: Member | None = task.run if task is not None and task.is_pending else task
        if member is None or member.has_all:
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


def _as_task(member: Member) -> TaskMember:
    assert isinstance(member, TaskMember)
    return member


def _age(member: Member) -> tuple[int, int]:
    return (member.asked.arrival, member.key)
