"""Which tasks and runs are in concurrency groups, and how a place in one leads to the next."""

from __future__ import annotations

from engine.domain.assignment import ReadyTask, RunClaims
from engine.domain.scheduler.group_table import GroupTable
from engine.domain.scheduler.members import Member, RunMember, TaskMember, as_task


class Membership:
    """Moves members through their chains of groups, and decides nothing.

    `tasks` and `runs` are all that hold slots, wait for them or rest, by their ids' numbers; `passing`
    are the tasks that hold all their slots and are to be queued. Others read them and call methods.
    """

    def __init__(self, table: GroupTable) -> None:
        self._table = table
        self.tasks: dict[int, TaskMember] = {}
        self.runs: dict[int, RunMember] = {}
        self.passing: list[TaskMember] = []
        self._last_turn = 0

    # Tasks

    def join(self, task: ReadyTask) -> TaskMember:
        """Return a new member for a task; it holds nothing and waits for nothing."""
        member = self.tasks[task.id.int] = TaskMember(task)
        self._last_turn = max(self._last_turn, member.asked.arrival)
        return member

    def forget(self, key: int) -> None:
        """Free everything a task holds or waits for, and its run's place if no other task of it waits."""
        member = self.tasks.pop(key, None)
        if member is None:
            return
        run = member.run
        if run is not None:
            run.tasks.pop(key, None)
            if not run.tasks and not run.has_all and not run.is_leaving:
                self.drop_run(run)
        if not member.is_pending:
            self._table.leave(member)

    # Going on

    def give_turn(self, member: Member) -> None:
        """Have a member that just went on stand behind all who came or went on before it.

        Turns compare with ids, which grow with time: for who waits in its first line, its id is its turn.
        """
        self._last_turn += 1
        member.turn = self._last_turn

    def ask(self, member: Member) -> None:
        """Have a member line up for the next slot of its chain, or go on without."""
        if not member.has_all:
            self._table.line_up(member)
        elif isinstance(member, RunMember):
            self.ask_for_tasks(member)
        else:
            self.passing.append(as_task(member))

    def ask_for_tasks(self, run: RunMember) -> None:
        """Have the tasks that waited for their run ask for themselves: it holds all its slots."""
        for member in run.tasks.values():
            if member.is_pending:
                member.is_pending = False
                self.give_turn(member)
                self.ask(member)

    # Runs

    def run_of(self, claims: RunClaims) -> RunMember:
        """Return the member of a run, which asks for its slots if it is new; one replayed is new."""
        run = self.runs.get(claims.id)
        if run is not None and run.claims.arrival < claims.arrival:
            self.drop_run(run)
            run = None
        if run is None:
            run = self.runs[claims.id] = RunMember(claims)
            self.ask(run)
        return run

    def join_run(self, member: TaskMember, claims: RunClaims) -> RunMember:
        """Make a task one of its run's, and return the run."""
        run = member.run = self.run_of(claims)
        run.tasks[member.key] = member
        return run

    def drop_run(self, run: RunMember) -> None:
        """Free what the run holds. Tasks that waited for it have ended with it, or arrive anew."""
        del self.runs[run.key]
        self._table.leave(run)
        for member in list(run.tasks.values()):
            member.run = None
            if member.is_pending:
                del self.tasks[member.key]
