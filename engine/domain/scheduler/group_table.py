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
        self._unsettled: dict[GroupId, None] = {}

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
                    self._unsettled[group_id] = None

    # Members

    def line_up(self, member: Member) -> None:
        """Have a member wait for the next slot of its chain."""
        claim = member.chain[member.held]
        group = self._group(claim)
        group.take_limit(claim, member.asked.arrival)
        group.line_up(member)
        self._unsettled[claim.group] = None

    def leave_line(self, member: Member) -> None:
        """Have a member wait for nothing; nothing happens if it does not wait."""
        if member.place is not None:
            self._groups[member.chain[member.held].group].leave_line(member)

    def give_all(self, member: Member) -> None:
        """Give a member a slot of every group of its chain, whether or not there is room."""
        for claim in member.chain:
            group = self._group(claim)
            group.take_limit(claim, member.asked.arrival)
            group.holders[member.key] = member
            self._unsettled[claim.group] = None
        member.held = len(member.chain)

    def rest(self, member: TaskMember) -> None:
        """Have the groups of the chain know who holds no slot and will ask again."""
        for claim in member.chain:
            group = self._group(claim)
            group.take_limit(claim, member.asked.arrival)
            group.resting[member.key] = member
            self._unsettled[claim.group] = None

    def leave(self, member: Member) -> None:
        """Take away all slots of a member, and its place in line."""
        self.leave_line(member)
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

    # What changed

    def unsettle(self, member: Member) -> None:
        """Have all groups of a member's chain looked at again."""
        for claim in member.chain:
            self._unsettled[claim.group] = None

    def unsettle_one(self, group_id: GroupId) -> None:
        self._unsettled[group_id] = None

    def has_unsettled(self) -> bool:
        return bool(self._unsettled)

    def take_unsettled(self) -> list[GroupId]:
        """Return, once, in which groups something changed."""
        unsettled = list(self._unsettled)
        self._unsettled.clear()
        return unsettled

    def _group(self, claim: Claim) -> Group:
        group = self._groups.get(claim.group)
        if group is None:
            shared = self._shared.get(claim.group.name) if claim.group.name else None
            group = self._groups[claim.group] = Group(claim, shared)
        return group
