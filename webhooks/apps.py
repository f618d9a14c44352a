from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        """Let lists of events say by which webhooks they came in."""
        from engine.api import event_origins
        from webhooks.queries import webhook_names

        event_origins.add_look_up(webhook_names)
