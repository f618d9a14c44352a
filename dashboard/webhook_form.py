"""What a person typed about a webhook: read, and made into one. Secrets are never shown again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from dashboard.payloads import show_json
from dashboard.trigger_form import object_problem
from engine.errors import HatchetError, InvalidArgument
from webhooks.changes import NewWebhook, basic_secret, create_webhook, update_webhook
from webhooks.credentials import Algorithm, Credentials, Encoding
from webhooks.models import AuthType, Webhook
from webhooks.source import Source
from webhooks.sources import all_sources

DEFAULT_SOURCE = "GENERIC"
AUTH_WORDS = {
    AuthType.HMAC: "Signature",
    AuthType.API_KEY: "API key",
    AuthType.BASIC: "User and password",
}
_FIELD_WORDS = {
    "eventKeyExpression": "Event key expression",
    "scopeExpression": "Scope expression",
    "staticPayload": "Static payload",
    "signingSecret": "The signing secret",
}


@dataclass(slots=True)
class WebhookForm:
    """The fields as typed, but for secrets; `problems` are sentences for the top of the page."""

    source: Source
    auth_type: AuthType
    name: str = ""
    event_key: str = ""
    scope: str = ""
    static: str = ""
    returns_event: bool = True
    user: str = ""
    header: str = ""
    algorithm: str = Algorithm.SHA256
    encoding: str = Encoding.HEX
    problems: list[str] = field(default_factory=list)

    @property
    def is_preset(self) -> bool:
        """Whether the source settles everything about the signature but its secret."""
        return bool(self.source.name != DEFAULT_SOURCE)

    def add(self, error: HatchetError) -> None:
        sentence = str(error)
        for name, words in _FIELD_WORDS.items():
            sentence = sentence.replace(name, words)
        self.problems.append(sentence[:1].upper() + sentence[1:] + ".")


def blank(given: Mapping[str, str]) -> WebhookForm:
    """Return the form of the source, and of the kind of credentials, that a link names."""
    source = all_sources().get(given.get("source", "")) or all_sources()[DEFAULT_SOURCE]
    kind = given.get("auth", "")
    wanted = AuthType(kind) if kind in AuthType.__members__ else AuthType.HMAC
    return WebhookForm(
        source,
        wanted if source.name == DEFAULT_SOURCE else AuthType.HMAC,
        name=source.name.lower() if source.name != DEFAULT_SOURCE else "",
        event_key=source.event_key_expression,
        header=source.header_name,
        algorithm=source.algorithm,
        encoding=source.encoding,
    )


def read(given: Mapping[str, str]) -> WebhookForm:
    form = blank(given)
    form.name = given.get("name", "").strip()
    _read_settings(form, given)
    if not form.is_preset:
        form.user = given.get("user", "").strip()
        form.header = given.get("header", "").strip()
        form.algorithm = given.get("algorithm", form.algorithm)
        form.encoding = given.get("encoding", form.encoding)
    return form


def shown(webhook: Webhook, *, may_view: bool) -> WebhookForm:
    """Return the form of a webhook that exists."""
    static = None if webhook.static_payload is None else bytes(webhook.static_payload)
    text = show_json(static, None) if may_view else None
    return WebhookForm(
        all_sources()[webhook.source_name],
        AuthType(webhook.auth_type),
        name=webhook.name,
        event_key=webhook.event_key_expression,
        scope=webhook.scope_expression,
        static=text.text if text else "",
        returns_event=webhook.returns_event,
    )


def create(
    form: WebhookForm, given: Mapping[str, str], tenant_id: UUID, now: datetime
) -> Webhook | None:
    """Make the webhook; None, with a problem in the form, if something is wrong."""
    if form.problems:
        return None
    try:
        new = NewWebhook(
            name=form.name,
            source_name=form.source.name,
            event_key_expression=form.event_key,
            scope_expression=form.scope,
            static_payload=form.static.encode() if form.static else None,
            returns_event=form.returns_event,
            credentials=_credentials(form, given.get("secret", "").strip()),
        )
        return create_webhook(tenant_id, new, now)
    except HatchetError as error:
        form.add(error)
        return None


def change(
    webhook: Webhook, given: Mapping[str, str], now: datetime, *, may_view: bool
) -> WebhookForm:
    """Change the webhook, or return a form that says what is wrong."""
    form = shown(webhook, may_view=may_view)
    _read_settings(form, given)
    if form.problems:
        return form
    try:
        update_webhook(
            webhook,
            now,
            event_key_expression=form.event_key,
            scope_expression=form.scope,
            # Who may not see the payload did not mean to replace it.
            static_payload=(form.static or "{}").encode() if may_view else None,
            returns_event=form.returns_event,
        )
    except HatchetError as error:
        form.add(error)
    return form


def _read_settings(form: WebhookForm, given: Mapping[str, str]) -> None:
    form.event_key = given.get("event_key", "").strip()
    form.scope = given.get("scope", "").strip()
    form.static = given.get("static", "").strip()
    form.returns_event = given.get("returns_event") == "yes"
    if form.static and (problem := object_problem(form.static)):
        form.problems.append(f"Static payload: {problem}")


def _credentials(form: WebhookForm, secret: str) -> Credentials:
    if not secret:
        raise InvalidArgument("type the secret: without one nobody can prove who they are")
    if form.auth_type is AuthType.BASIC:
        return Credentials(auth_type=form.auth_type, secret=basic_secret(form.user, secret))
    if form.algorithm not in Algorithm.__members__ or form.encoding not in Encoding.__members__:
        raise InvalidArgument("choose an algorithm and an encoding")
    return Credentials(
        auth_type=form.auth_type,
        secret=secret,
        header_name=form.header,
        algorithm=Algorithm(form.algorithm),
        encoding=Encoding(form.encoding),
    )
