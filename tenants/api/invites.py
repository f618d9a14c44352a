"""Invites over REST: admins offer memberships, whoever is invited takes them or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.refusals import AnswersRefusals
from tenants.api.shapes import invite_shape
from tenants.models import Role
from tenants.people import accepting, invites
from tenants.rest import in_body
from tenants.rest.accepted import takes_body
from tenants.rest.paging import whole
from tenants.rest.params import is_uuid, parse_uuid
from tenants.rest.views import TenantView, UserView

ROLES = {role.value: role for role in Role}


@dataclass(frozen=True, slots=True)
class NewInvite:
    email: str = in_body.text("email", longest=254)
    role: Role = in_body.choice("role", ROLES, is_required=True)
    can_view_payloads: bool | None = in_body.optional_flag("canViewPayloads")


@dataclass(frozen=True, slots=True)
class RightsWanted:
    role: Role = in_body.choice("role", ROLES, is_required=True)
    can_view_payloads: bool | None = in_body.optional_flag("canViewPayloads")


class InvitesView(AnswersRefusals, TenantView):
    reading_needs = Role.ADMIN
    writing_needs = Role.ADMIN
    limited_methods = ("POST",)

    def get(self, request: Request, **_: Any) -> Response:
        rows = [invite_shape(invite) for invite in invites.pending_invites(self.tenant)]
        return Response(whole(rows))

    @takes_body(NewInvite)
    def post(self, request: Request, new: NewInvite, **_: Any) -> Response:
        """Invite somebody. The answer has the link only where it could not be mailed."""
        made = invites.create_invite(
            self.access,
            email=new.email,
            role=new.role,
            can_view_payloads=new.can_view_payloads is not False,
        )
        return Response(invite_shape(made.invite, link=made.link), status=201)


class InviteView(AnswersRefusals, TenantView):
    path_ids = ("tenant", "invite")
    writing_needs = Role.ADMIN
    of_archived = ("DELETE",)

    @takes_body(RightsWanted)
    def patch(self, request: Request, wanted: RightsWanted, **_: Any) -> Response:
        invite = invites.update_invite(
            self.access,
            self.ids["invite"],
            role=wanted.role,
            can_view_payloads=wanted.can_view_payloads,
        )
        return Response(invite_shape(invite))

    def delete(self, request: Request, **_: Any) -> Response:
        return Response(invite_shape(invites.withdraw_invite(self.access, self.ids["invite"])))


class RenewInviteView(AnswersRefusals, TenantView):
    path_ids = ("tenant", "invite")
    writing_needs = Role.ADMIN
    limited_methods = ("POST",)

    def post(self, request: Request, **_: Any) -> Response:
        """Make a new link for another week, and mail it; the old one can no longer be used."""
        made = invites.renew_invite(self.access, self.ids["invite"])
        return Response(invite_shape(made.invite, link=made.link))


class OwnInvitesView(UserView):
    def get(self, request: Request, **_: Any) -> Response:
        """The invites that can be accepted without their links: only of who has proven their address."""
        rows = [invite_shape(invite) for invite in accepting.invites_for(self.user)]
        return Response(whole(rows))


@dataclass(frozen=True, slots=True)
class OwnInvite:
    """An invite's id, or the last part of its link."""

    invite: str = in_body.text("invite")


class AcceptInviteView(AnswersRefusals, UserView):
    needs_verified_email = False

    @takes_body(OwnInvite)
    def post(self, request: Request, own: OwnInvite, **_: Any) -> Response:
        if is_uuid(own.invite):
            accepting.accept_invite(self.user, parse_uuid(own.invite, "invite"))
        else:
            accepting.accept_link(self.user, own.invite)
        return Response(None)


class RejectInviteView(AnswersRefusals, UserView):
    needs_verified_email = False

    @takes_body(OwnInvite)
    def post(self, request: Request, own: OwnInvite, **_: Any) -> Response:
        if is_uuid(own.invite):
            accepting.reject_invite(self.user, parse_uuid(own.invite, "invite"))
        else:
            accepting.reject_link(self.user, own.invite)
        return Response(None)
