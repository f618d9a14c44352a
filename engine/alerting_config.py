"""How tenants are told of alerts, as the environment says it; mail has a configuration of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.environment import Environment

_SLACK = "SERVER_TENANT_ALERTING_SLACK"
_PAGERDUTY_URL = "SERVER_TENANT_ALERTING_PAGERDUTY_URL"
_SNS_URL = "SERVER_TENANT_ALERTING_SNS_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackConfig:
    """The app of Slack's in whose name people add this installation to their channels."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertingConfig:
    """`slack` None: there is no app, and URLs of incoming webhooks are entered by hand."""

    slack: SlackConfig | None
    pagerduty_url: str
    sns_url: str | None
    """None: that of Amazon for the region of each topic."""

    @classmethod
    def from_environment(cls, env: Environment) -> AlertingConfig:
        return cls(
            slack=_slack(env),
            pagerduty_url=env.http_url(_PAGERDUTY_URL, "https://events.pagerduty.com"),
            sns_url=env.http_url(_SNS_URL, "") if env.optional(_SNS_URL) else None,
        )


def _slack(env: Environment) -> SlackConfig | None:
    if not env.flag(f"{_SLACK}_ENABLED", default=False):
        return None
    return SlackConfig(
        client_id=env.needed(_SLACK, "CLIENT_ID"),
        client_secret=env.needed(_SLACK, "CLIENT_SECRET"),
        scopes=env.listed(f"{_SLACK}_SCOPES", ("incoming-webhook",)),
        url=env.http_url(f"{_SLACK}_URL", "https://slack.com"),
    )
