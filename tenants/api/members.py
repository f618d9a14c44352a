"""The members of a tenant over REST."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.invites import RightsWanted
from tenants.api.refusals import AnswersRefusals
from tenants.api.shapes import member_shape
from tenants.models import Member, Role
from tenants.people import members
from tenants.rest.accepted import takes_body
from tenants.rest.paging import whole
from tenants.rest.views import TenantView


class MembersView(TenantView):
    reading_needs = Role.ADMIN

    def get(self, request: Request, **_: Any) -> Response:
        found = Member.objects.filter(tenant=self.tenant).select_related("user")
        return Response(whole([member_shape(member) for member in found.order_by("created_at")]))


class MemberView(AnswersRefusals, TenantView):
    path_ids = ("tenant", "member")
    writing_needs = Role.ADMIN
    of_archived = ("PATCH", "DELETE")

    @takes_body(RightsWanted)
    def patch(self, request: Request, wanted: RightsWanted, **_: Any) -> Response:
        member = members.update_member(
            self.access,
            self.ids["member"],
            role=wanted.role,
            can_view_payloads=wanted.can_view_payloads,
        )
        return Response(member_shape(member))

    def delete(self, request: Request, **_: Any) -> Response:
        members.remove_member(self.access, self.ids["member"])
        return Response(status=204)


class LeaveView(AnswersRefusals, TenantView):
    """One's own membership; the last owner cannot leave."""

    writing_needs = Role.VIEWER
    of_archived = ("POST",)

    def post(self, request: Request, **_: Any) -> Response:
        members.leave_tenant(self.access)
        return Response(status=204)
