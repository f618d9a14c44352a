"""The way to another service and back."""

from __future__ import annotations

import logging
from urllib.parse import urlencode

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers import registry
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from requests import RequestException

from tenants.sign_in.adapter import FAILED, go_back
from tenants.sign_in.allauth_request import as_allauth_wants
from tenants.sign_in.providers import SERVICES

_MISSHAPEN = (AttributeError, ImproperlyConfigured, KeyError, TypeError, ValueError)
"""What comes of documents that are not as the standards say; the second of an id that is too long."""

logger = logging.getLogger(__name__)

# Not by an app of Django's: the engine, which has the same apps, needs none of it.
for service in SERVICES:
    registry.register(service)


def start_of(scheme: str, wanted: str) -> str:
    """Where a browser begins to sign in with a service."""
    return f"/api/v1/users/{scheme}/start?{urlencode({'next': wanted})}"


def leave_for(request: HttpRequest, scheme: str, wanted: str) -> HttpResponse:
    """Send somebody to a service; they come back with a `state` that this session knows, and works once."""
    with as_allauth_wants(request):
        provider = get_adapter(request).get_provider(request, scheme)
        try:
            answer: HttpResponse = provider.redirect(request, AuthProcess.LOGIN, next_url=wanted)
        except (OAuth2Error, RequestException, *_MISSHAPEN) as error:
            logger.warning("%s cannot be used to sign in: %.300r", scheme, error)
            return go_back(request, FAILED)
        return answer


def come_back(request: HttpRequest, scheme: str) -> HttpResponse:
    with as_allauth_wants(request):
        provider = get_adapter(request).get_provider(request, scheme)
        view = OAuth2CallbackView.adapter_view(provider.get_oauth2_adapter(request))
        try:
            answer: HttpResponse = view(request)
        except _MISSHAPEN as error:
            logger.warning("%s said what cannot be understood: %.300r", scheme, error)
            return go_back(request, FAILED)
        return answer
