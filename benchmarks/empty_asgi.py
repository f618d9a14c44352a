"""Django as it comes, under the settings of the empty view."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.empty_view")

from django.core.asgi import get_asgi_application

application = get_asgi_application()
