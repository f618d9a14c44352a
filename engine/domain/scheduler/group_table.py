"""The concurrency groups of a tenant: their slots and lines, and in which of them something changed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.domain.assignment import Claim, Claims, GroupId, RunClaims, SharedStrategy
from engine.domain.scheduler.group import Group
from engine.domain.scheduler.members import Member, TaskMember


class GroupTable:
    """Knows a group while somebody holds a slot of it, waits for one or rests. It decides nothing.

    The slots of a group that are held are exactly those of the members that hold them, so nothing can
    leak that is not a known task or run. Every change to a group leaves it unsettled.
    """

    def __init__(self) -> None:
        self._groups: dict[GroupId, Group] = {}
        self._shared: Mapping[str, SharedStrategy] = MappingProxyType({})
        self._unsettled: dict[Group, None] = {}

    def get(self, group_id: GroupId) -> Group | None:
        return self._groups.get(group_id)

    def count(self) -> int:
        return len(self._groups)

    def have_room(self, asked: Claims | RunClaims) -> bool:
        """Whether somebody new would get a slot of every group of its chain at once."""
        for claim in asked.chain:
            group = self._groups.get(claim.group)
            if group is None:
                continue
            if not group.may_be_joined(group.limit_with(claim, asked.arrival)):
                return False
        return True

    def share(self, strategies: Mapping[str, SharedStrategy]) -> None:
        """Follow what is registered now for the whole tenant, by name."""
        changed = {name for name, found in strategies.items() if self._shared.get(name) != found}
        self._shared = strategies
        if changed:
            for group_id, group in self._groups.items():
                if group_id.name in changed:
                    group.share(strategies[group_id.name])
                    self._unsettled[group] = None

    # Members

    def line_up(self, member: Member) -> None:
        """Have a member wait for the next slot of its chain."""
        group = self._group(member.next_claim, member)
        group.line_up(member)

    def leave_line(self, member: Member) -> None:
        """Have a member wait for nothing; nothing happens if it does not wait."""
        if member.place is not None and member.waits_for is not None:
            member.waits_for.leave_line(member)

    def give_all(self, member: Member) -> None:
        """Give a member the slots of its chain that it does not hold, whether or not there is room."""
        for claim in member.chain[len(member.held) :]:
            self._group(claim, member).give_slot(member)

    def rest(self, member: TaskMember) -> None:
        """Have the groups of the chain know who holds no slot and will ask again."""
        for claim in member.chain:
            self._group(claim, member).resting[member.key] = member

    def leave(self, member: Member) -> None:
        """Take away all slots of a member, and its place in line: it asks for nothing any more."""
        self.leave_line(member)
        if member.waits_for is not None:
            self._drop_if_empty(member.waits_for)
        for group in member.held:
            del group.holders[member.key]
            self._unsettled[group] = None
            self._drop_if_empty(group)
        if isinstance(member, TaskMember) and member.is_resting:
            for claim in member.chain:
                group = self._groups[claim.group]
                del group.resting[member.key]
                self._drop_if_empty(group)

    # What changed

    def unsettle(self, group: Group) -> None:
        """Have a group looked at again."""
        self._unsettled[group] = None

    def has_unsettled(self) -> bool:
        return bool(self._unsettled)

    def take_unsettled(self) -> list[Group]:
        """Return, once, in which groups something changed."""
        unsettled = list(self._unsettled)
        self._unsettled.clear()
        return unsettled

    def _group(self, claim: Claim, member: Member) -> Group:
        """Return the group of a claim, with the limit that the member brings, and unsettled."""
        group = self._groups.get(claim.group)
        if group is None:
            shared = self._shared.get(claim.group.name) if claim.group.name else None
            group = self._groups[claim.group] = Group(claim, shared)
        group.take_limit(claim, member.asked.arrival)
        self._unsettled[group] = None
        return group

    def _drop_if_empty(self, group: Group) -> None:
        if group.is_empty and self._groups.get(group.id) is group:
            del self._groups[group.id]
