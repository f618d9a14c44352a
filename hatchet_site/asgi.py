"""The web process: pages and API over HTTP, live updates over WebSocket."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hatchet_site.settings")

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

# Loads the apps, which the routes below need.
django.setup(set_prefix=False)

from dashboard.urls import websocket_urlpatterns  # noqa: E402  (it needs the apps)
from engine.sandbox.pool import sandbox  # noqa: E402
from hatchet_site.request_threads import MOST_THREADS, ThreadKeepingHandler  # noqa: E402

sandbox.limit_callers(of_a_tenant=MOST_THREADS // 3, together=MOST_THREADS * 2 // 3)

application = ProtocolTypeRouter(
    {
        "http": ThreadKeepingHandler(),
        # A page of another origin may not listen with the visitor's session.
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
        ),
    }
)
