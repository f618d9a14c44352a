"""Every operation of alerts, called once with success."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cast import Cast
from tests.webhooks.alerting import (
    ARN,
    ROUTING_KEY,
    SLACK_URL,
    make_channel,
    open_alert,
    tell,
)
from tests.webhooks.test_sns_ingest import NOTIFICATION, Amazon
from webhooks.alerts.channel_changes import Slack
from webhooks.sns import envelopes


def walk_alerts(walk: Any, stable: str, tenant: str, cast: Cast) -> None:
    """Runs must be there already."""
    _walk_contract(walk, tenant)
    body = {"name": "On call", "pagerDuty": {"routingKey": ROUTING_KEY}}
    channel = walk.post(f"{stable}/alert-channels", body)["metadata"]["id"]
    walk.post(f"{stable}/alert-channels/{channel}/test")
    assert walk.get(f"{stable}/alert-channels/{channel}/notifications")["rows"]
    walk.patch(f"{stable}/alert-channels/{channel}", {"name": "Calls"})
    walk.get(f"{stable}/alert-channels/{channel}")
    rule = {"name": "Many", "kind": "RUNS", "settings": {"threshold": 5, "statuses": ["FAILED"]}}
    made = walk.post(f"{stable}/alert-rules", rule)["metadata"]["id"]
    walk.patch(f"{stable}/alert-rules/{made}", {"runbook": "Call"})
    walk.post(f"{stable}/alert-rules/{made}/silence", {"seconds": 60})
    walk.get(f"{stable}/alert-rules/{made}")
    alert = open_alert(cast.tenant, name="Runs", runbook="Call").id
    tell()
    assert walk.get(f"{stable}/alerts")["rows"]
    walk.post(f"{stable}/alerts/{alert}/silence", {"seconds": 60})
    walk.post(f"{stable}/alerts/{alert}/acknowledge")
    walk.get(f"{stable}/alerts/{alert}")
    assert walk.get(f"{stable}/alerts/{alert}/notifications")["rows"]
    assert walk.get(f"{stable}/alert-rules")["rows"]
    assert walk.get(f"{stable}/alert-channels")["rows"]
    walk.delete(f"{stable}/alert-rules/{made}")
    walk.delete(f"{stable}/alert-channels/{channel}")


def _walk_contract(walk: Any, tenant: str) -> None:
    group = walk.post(f"{tenant}/alerting-email-groups", {"emails": ["ops@acme.test"]})
    group_at = f"/api/v1/alerting-email-groups/{group['metadata']['id']}"
    walk.patch(group_at, {"emails": ["others@acme.test"]})
    assert walk.get(f"{tenant}/alerting-email-groups")["rows"]
    walk.delete(group_at)
    topic = walk.post(f"{tenant}/sns", {"topicArn": ARN})
    assert walk.get(f"{tenant}/sns")["rows"]
    _notify(walk, topic["ingestUrl"].removeprefix("http://hatchet.test:8080"))
    walk.delete(f"/api/v1/sns/{topic['metadata']['id']}")


def walk_slack(walk: Any, tenant: str, cast: Cast) -> None:
    way = Slack(url=SLACK_URL, team_id="T1", team_name="Acme")
    channel = make_channel(cast.tenant, way)
    assert walk.get(f"{tenant}/slack")["rows"]
    walk.delete(f"/api/v1/slack/{channel.id}")


def _notify(walk: Any, ingest: str) -> None:
    amazon = Amazon()
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(envelopes, "is_amazon", lambda url: url.startswith(amazon.url))
            body = json.dumps(amazon.signed(NOTIFICATION)).encode()
            answer = walk.client.send("POST", f"{ingest}/order:created", body, "text/plain")
    finally:
        amazon.close()
    assert answer.operation, answer.content
    walk.seen.add(answer.operation)
