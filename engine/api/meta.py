"""What clients ask before they know anything: versions, sign-in schemes, what is switched on."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from engine.version import ENGINE_VERSION
from tenants.installation import installation
from tenants.rest.errors import error_body
from tenants.rest.views import PublicView, UserView


class MetaView(PublicView):
    def get(self, request: Request, **_: Any) -> Response:
        people = installation().people
        return Response(
            {
                "auth": {"schemes": list(installation().sign_in.schemes)},
                "allowSignup": people.allow_signup,
                "allowInvites": people.allow_invites,
                "allowCreateTenant": people.allow_create_tenant,
                "allowChangePassword": people.allow_change_password,
                "observabilityEnabled": settings.HATCHET.tracing is not None,
                "prometheusServerEnabled": True,
                "authDisabled": False,
            }
        )


class IntegrationsView(UserView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response([])


class CloudMetadataView(PublicView):
    """A self-hosted server answers 200 with an error body, which hides what only a cloud has."""

    def get(self, request: Request, **_: Any) -> Response:
        return Response(error_body(400, "this server is self-hosted"))


class VersionView(PublicView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response({"version": ENGINE_VERSION})
