"""Adding this installation to a channel of Slack's: the way there and back (OAuth v2).

What comes back is the URL of an incoming webhook. The `state` is kept in the session and works once.
"""

from __future__ import annotations

import logging
import secrets
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
import requests
from django.conf import settings
from django.http import HttpRequest

from engine.alerting_config import SlackConfig
from engine.errors import HatchetError
from webhooks.alerts.channel_changes import Slack, create_channel
from webhooks.models import AlertChannel

CALLBACK = "/api/v1/users/slack/callback"
_SESSION_KEY = "slack_oauth"
_SECONDS = 10.0
_MOST_BYTES = 100_000

logger = logging.getLogger(__name__)


class NotAdded(Exception):
    """It came to nothing; the text is for whoever tried."""


def app() -> SlackConfig | None:
    found: SlackConfig | None = settings.HATCHET.alerting.slack
    return found


def leave_for(request: HttpRequest, config: SlackConfig, tenant_id: UUID) -> str:
    """Return where the browser goes; who comes back with the state adds a channel to the tenant."""
    state = secrets.token_urlsafe(32)
    request.session[_SESSION_KEY] = {"state": state, "tenant": str(tenant_id)}
    asked = {
        "client_id": config.client_id,
        "scope": ",".join(config.scopes),
        "redirect_uri": _callback(),
        "state": state,
    }
    return f"{config.url}/oauth/v2/authorize?{urlencode(asked)}"


def tenant_of(request: HttpRequest) -> UUID:
    """Return for which tenant somebody came back. NotAdded: they did not leave from here."""
    kept = request.session.pop(_SESSION_KEY, None) or {}
    given = request.GET.get("state", "")
    state = str(kept.get("state", ""))
    if not state or not secrets.compare_digest(state.encode(), given.encode(errors="replace")):
        raise NotAdded("This way to Slack was not begun here, or was used already. Try again.")
    return UUID(kept["tenant"])


def come_back(
    request: HttpRequest, config: SlackConfig, tenant_id: UUID, now: datetime
) -> AlertChannel:
    """Make the channel of what Slack says. NotAdded: it was refused, or what was said is of no use."""
    code = request.GET.get("code", "")
    if not code or len(code) > 1_000:
        raise NotAdded("Slack was not allowed to add the channel.")
    said = _exchanged(config, code)
    try:
        hook, team = said["incoming_webhook"], said["team"]
        way = Slack(
            url=str(hook["url"]),
            team_name=str(team["name"]),
            team_id=str(team["id"]),
            channel_name=str(hook["channel"]),
            channel_id=str(hook["channel_id"]),
        )
        return create_channel(tenant_id, "", way, now)
    except (KeyError, TypeError) as error:
        raise NotAdded("Slack has not said which channel it is.") from error
    except HatchetError as error:
        raise NotAdded(f"Slack's channel was not added: {error}.") from error


def _exchanged(config: SlackConfig, code: str) -> dict[str, Any]:
    """Exchange a code, with the secret of the app, for what it stands for."""
    asked = {
        "client_id": config.client_id,
        "client_secret": config.client_secret,
        "code": code,
        "redirect_uri": _callback(),
    }
    try:
        with requests.post(
            f"{config.url}/api/oauth.v2.access",
            data=asked,
            timeout=_SECONDS,
            allow_redirects=False,
            stream=True,
        ) as answer:
            text = answer.raw.read(_MOST_BYTES, decode_content=True)
        said = orjson.loads(text)
    except (requests.RequestException, OSError, ValueError) as error:
        logger.warning("Slack could not be asked: %.300r", error)
        raise NotAdded("Slack cannot be reached now.") from error
    if not isinstance(said, dict) or said.get("ok") is not True:
        reason = said.get("error", "") if isinstance(said, dict) else ""
        raise NotAdded(f"Slack refused: {str(reason)[:100] or 'it did not say why'}.")
    return said


def _callback() -> str:
    return f"{settings.HATCHET.server_url}{CALLBACK}"
