"""The web process: pages and API over HTTP, live updates over WebSocket."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hatchet_site.settings")

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings

from engine.environment import ConfigError

try:
    # Loads the apps, which the routes below need.
    django.setup(set_prefix=False)
except ConfigError as error:
    sys.exit(f"Hatchet cannot start: {error}")

from dashboard.urls import websocket_urlpatterns
from engine.sandbox.pool import sandbox
from hatchet_site.bodies import bound_bodies
from hatchet_site.proxies import ForwardedRequests
from hatchet_site.request_threads import MOST_THREADS, ThreadKeepingHandler
from hatchet_site.slow_readers import wait_for_readers

sandbox.limit_callers(of_a_tenant=MOST_THREADS // 3, together=MOST_THREADS * 2 // 3)
bound_bodies()
wait_for_readers()
application = ForwardedRequests(
    ProtocolTypeRouter(
        {
            "http": ThreadKeepingHandler(),
            # A page of another origin may not listen with the visitor's session.
            "websocket": AllowedHostsOriginValidator(
                AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
            ),
        }
    ),
    settings.HATCHET.trusted_proxies,
)
