"""Errors that the process logs, reported to Sentry: without inputs, local variables or who asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration

from engine.export_config import SentryConfig
from engine.version import ENGINE_VERSION
from tenants.log_fields import fields_of

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

_LEFT_SECONDS = 2.0
"""So long the end of the process waits for what was not sent yet."""


def start(config: SentryConfig, process: str) -> Callable[[], None]:
    """Report from now on; call what it returns to send what is left and end."""
    sentry_sdk.init(
        dsn=config.dsn,
        environment=config.environment,
        sample_rate=config.sample_rate,
        release=f"hatchet-django@{ENGINE_VERSION}",
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=logging.INFO, event_level=logging.ERROR),
            ExcepthookIntegration(),
            DedupeIntegration(),
        ],
        include_local_variables=False,
        max_request_body_size="never",
        before_send=_with_ids,
    )
    sentry_sdk.set_tag("process", process)
    return _end


def _with_ids(event: Event, hint: Hint) -> Event:
    record: Any = hint.get("log_record")
    if isinstance(record, logging.LogRecord):
        event.setdefault("tags", {}).update(fields_of(record))
    return event


def _end() -> None:
    sentry_sdk.get_client().close(timeout=_LEFT_SECONDS)
