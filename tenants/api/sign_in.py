"""Signing in with another service: a browser goes there and comes back."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme
from rest_framework.request import Request

from tenants.installation import installation
from tenants.rest.errors import bad_request
from tenants.rest.views import PublicView
from tenants.sign_in import services

SWITCHED_OFF = "this is switched off on this server"


class _ServiceView(PublicView):
    limited_methods = ("GET",)
    scheme: ClassVar[str]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "OPTIONS" and self.scheme not in installation().sign_in.schemes:
            raise bad_request(SWITCHED_OFF)


class StartView(_ServiceView):
    def get(self, request: Request, **_: Any) -> HttpResponse:
        wanted = request.query_params.get("next", "/")
        is_here = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, None)
        return services.leave_for(request._request, self.scheme, wanted if is_here else "/")


class CallbackView(_ServiceView):
    def get(self, request: Request, **_: Any) -> HttpResponse:
        return services.come_back(request._request, self.scheme)


def view_of(scheme: str, way: str) -> type[PublicView]:
    """The view of one service and one of the two ways, `start` and `callback`."""
    base = {"start": StartView, "callback": CallbackView}[way]
    return type(f"{scheme.title()}{base.__name__}", (base,), {"scheme": scheme})
