from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from engine.background import Background
    from engine.store.async_db import AsyncDatabase


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        """Let lists of events say by which webhooks they came in; engines send, clear and alert."""
        from engine import background
        from engine.api import event_origins
        from engine.operations import app_tables
        from engine.operations.parts import count_usage
        from engine.store import query
        from tenants.resources import Resource
        from webhooks.queries import webhook_names
        from webhooks.tables import TABLES, count_webhooks

        event_origins.add_look_up(webhook_names)
        query.SQL_FOLDERS.append(Path(__file__).parent / "sql")
        background.add_background(_deliverer)
        background.add_background(_alerter)
        app_tables.add_app_tables(TABLES)
        count_usage.add_count(Resource.INCOMING_WEBHOOK, count_webhooks)


def _deliverer(database: AsyncDatabase) -> Background:
    from webhooks.outgoing.deliver import Deliverer

    return Deliverer(database)


def _alerter(database: AsyncDatabase) -> Background:
    from webhooks.alerts.deliver import Alerter

    return Alerter(database)
