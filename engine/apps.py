from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class EngineConfig(AppConfig):
    name = "engine"

    def ready(self) -> None:
        """Let the drivers of operations seal payloads, if they are not stored as they come."""
        from engine.store.payload_setup import set_up

        set_up(settings.HATCHET)
