"""The web process: pages and API over HTTP, live updates over WebSocket."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hatchet_site.settings")

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

# Loads the apps, which the routes below need.
django_application = get_asgi_application()

from dashboard.urls import websocket_urlpatterns  # noqa: E402  (it needs the apps)

application = ProtocolTypeRouter(
    {
        "http": django_application,
        # A page of another origin may not listen with the visitor's session.
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
        ),
    }
)
