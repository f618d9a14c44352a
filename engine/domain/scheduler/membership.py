"""Who is in which concurrency groups, and how a place in one leads to the next."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from engine.domain.assignment import Claim, GroupId, ReadyTask, RunClaims, SharedStrategy
from engine.domain.scheduler.groups_line import Group, Member, RunMember, TaskMember, as_task


class Membership:
    """The part of concurrency groups that moves members through their chains, and decides nothing.

    The slots of a group that are held are exactly those of the members that hold them, so nothing can
    leak that is not a known task or run. Every change to a group leaves it unsettled.
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
        self._last_turn = 0

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

    # Turns

    def _join(self, task: ReadyTask) -> TaskMember:
        member = self._tasks[task.id.int] = TaskMember(task)
        self._last_turn = max(self._last_turn, member.asked.arrival)
        return member

    def _give_turn(self, member: Member) -> None:
        """Have a member that just went on stand behind all who came or went on before it.

        Turns compare with ids, which grow with time: for who waits in its first line, its id is its turn.
        """
        self._last_turn += 1
        member.turn = self._last_turn

    # Lines and slots

    def _ask(self, member: Member) -> None:
        """Line up for the next slot of the chain, or go on without."""
        if member.has_all:
            if isinstance(member, RunMember):
                self._let_pass(member)
            else:
                self._passing.append(as_task(member))
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
                self._give_turn(member)
                self._ask(member)

    def _give_all(self, member: Member) -> None:
        for claim in member.chain:
            group = self._group(claim)
            group.take_limit(claim, member.asked.arrival)
            group.holders[member.key] = member
            self._unsettled[claim.group] = None
        member.held = len(member.chain)

    def _rest(self, member: TaskMember) -> None:
        """Have the groups of the chain know who holds no slot and will ask again."""
        for claim in member.chain:
            group = self._group(claim)
            group.take_limit(claim, member.asked.arrival)
            group.resting[member.key] = member
            self._unsettled[claim.group] = None

    def _leave(self, member: Member) -> None:
        """Give up all slots, and the place in line."""
        self._leave_line(member)
        for claim in member.chain[: member.held]:
            del self._groups[claim.group].holders[member.key]
            self._unsettled[claim.group] = None
        if isinstance(member, TaskMember) and member.is_resting:
            for claim in member.chain:
                del self._groups[claim.group].resting[member.key]
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
