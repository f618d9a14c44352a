"""What somebody may do in a tenant, as a person chooses it for a member or an invite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenants.models import Role
from tenants.people.changing import may_grant
from tenants.people.refusals import Refused


@dataclass(frozen=True, slots=True)
class RightsForm:
    role: Role = Role.MEMBER
    can_view_payloads: bool = True

    def context(self, granting: Role, locked: str = "") -> dict[str, Any]:
        """Return what the fields need. `locked` says why whoever looks, of the role `granting`, cannot choose."""
        offered = [role for role in reversed(Role) if locked or may_grant(granting, role)]
        return {
            "roles": offered,
            "role": self.role,
            "can_view_payloads": self.can_view_payloads,
            "locked": locked,
        }


def read(given: Mapping[str, str]) -> RightsForm:
    """Raise Refused for a role that there is not."""
    role = given.get("role", "")
    if role not in Role.values:
        raise Refused("choose a role", field="role")
    return RightsForm(Role(role), given.get("payloads") == "yes")
