"""What is said about alerts, and in which words: channels have rules of their own about texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from engine.errors import InvalidArgument
from engine.ids import new_id
from webhooks.alert_models import AlertEvent, NotificationState
from webhooks.alerts import findings, store, texts
from webhooks.alerts.deliver import judged
from webhooks.alerts.kinds import KINDS, NO_WORKER, QUEUE_AGE, RUNS
from webhooks.alerts.settings import settings_of
from webhooks.alerts.sns import is_topic, sns_url
from webhooks.alerts.texts import Telling
from webhooks.outgoing.answered import Answered

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ALERT = UUID("707d0855-80ab-4e1f-a156-f1c4546cbf52")


def telling(event: AlertEvent = AlertEvent.OPENED, **given: object) -> Telling:
    fields: dict[str, object] = {
        "event": event,
        "tenant_name": "Acme",
        "alert_id": ALERT,
        "kind": RUNS,
        "rule_name": "Many",
        "title": "12 runs failed",
        "text": "of <billing> & more",
        "url": "https://hatchet.test/t/acme/alerts/1",
        "page": "https://hatchet.test/t/acme/runs",
        "runbook": "Call <!channel>",
        "opened_at": NOW,
        "acknowledged_by": "",
        "sent_id": 7,
    }
    return Telling(**(fields | given))  # type: ignore[arg-type]


def test_slack_gets_no_mentions_out_of_names() -> None:
    said = texts.slack_of(telling(title="<!here> & you"))
    text = said["blocks"][0]["text"]["text"]
    assert "<https://hatchet.test/t/acme/alerts/1|&lt;!here&gt; &amp; you>" in text
    assert "<!" not in text.replace("<https", "")
    assert "Call &lt;!channel&gt;" in text
    assert "<https://hatchet.test/t/acme/runs|See>" in said["blocks"][1]["elements"][0]["text"]


def test_a_section_of_slacks_has_a_bound() -> None:
    said = texts.slack_of(telling(text="x" * 10_000))
    assert len(said["blocks"][0]["text"]["text"]) < 3_000


@pytest.mark.parametrize(
    ("event", "action"),
    [
        (AlertEvent.OPENED, "trigger"),
        (AlertEvent.ACKNOWLEDGED, "acknowledge"),
        (AlertEvent.RESOLVED, "resolve"),
    ],
)
def test_pagerduty_is_told_of_one_incident_by_one_key(event: AlertEvent, action: str) -> None:
    said = texts.pagerduty_of(telling(event), "k" * 32)
    assert said["event_action"] == action
    assert said["dedup_key"] == f"hatchet-{ALERT}"
    assert ("payload" in said) == (action == "trigger")


def test_what_pagerduty_shows() -> None:
    said = texts.pagerduty_of(telling(title="x" * 3_000), "k" * 32)
    payload = said["payload"]
    assert len(payload["summary"]) == 1_024
    assert (payload["severity"], payload["source"]) == ("error", "Acme")
    assert payload["timestamp"] == "2026-11-30T12:00:00+00:00"
    assert payload["custom_details"]["runbook"] == "Call <!channel>"
    assert said["links"][0]["href"] == "https://hatchet.test/t/acme/runs"


def test_subjects_of_sns_are_one_line_of_ascii() -> None:
    subject, message = texts.sns_of(telling(tenant_name="Bücher\n", title="ß" * 300))
    assert subject.isascii() and subject.isprintable() and len(subject) < 100
    assert "ß" in message


def test_a_mail_says_what_to_do_and_where() -> None:
    subject, text = texts.mail_of(telling(AlertEvent.RESOLVED))
    assert subject == "[Acme] Resolved: 12 runs failed"
    for part in ("/alerts/1", "/t/acme/runs", "Call <!channel>", "Rule: Many"):
        assert part in text


def waiting(action: str, seconds: int, *, has_worker: bool) -> store.WaitingAction:
    return store.WaitingAction(action, NOW - timedelta(seconds=seconds), has_worker)


def test_the_longest_wait_is_told() -> None:
    actions = [waiting("a:b", 400, has_worker=True), waiting("c:d", 7_300, has_worker=True)]
    [found] = findings.waiting_too_long("acme", 300, actions, NOW)
    assert found.title == "A task of c:d has waited for 2 hours"
    assert "1 other actions" in found.text
    assert findings.waiting_too_long("acme", 8_000, actions, NOW) == []


def test_actions_without_a_worker_are_told_one_by_one() -> None:
    actions = [
        waiting("a:b", 400, has_worker=True),
        waiting("c:d", 400, has_worker=False),
        waiting("e:f", 10, has_worker=False),
    ]
    assert [one.key for one in findings.without_worker("acme", 60, actions, NOW)] == [
        "no-worker:c:d"
    ]


WELL = store.Health([], True, 10, 100, 1.0, 1_000)


@pytest.mark.parametrize(
    ("health", "keys"),
    [
        (WELL, []),
        (WELL._replace(silent_engines=["host 1"]), ["engine:host 1"]),
        (WELL._replace(is_scheduled=False), ["engine:none"]),
        (WELL._replace(connections=90), ["database:connections"]),
        (WELL._replace(oldest_transaction_seconds=600.0), ["database:transaction"]),
        (WELL._replace(unfrozen=1_500_000_000), ["database:unfrozen"]),
    ],
)
def test_what_is_unwell(health: store.Health, keys: list[str]) -> None:
    assert [one.key for one in findings.unwell("acme", health)] == keys


def test_a_digest_of_one_run_leads_to_it() -> None:
    run = new_id()
    one = findings.failures("acme", [store.FailureRow(ALERT, "acme", "billing", run, 1)])
    assert (one.title, one.link) == ("1 run failed", f"/t/acme/runs/{run}")
    rows = [store.FailureRow(ALERT, "acme", name, run, 2) for name in ("billing", None)]
    many = findings.failures("acme", rows)
    assert (many.title, many.number) == ("4 runs failed", 4)
    assert "billing: 2" in many.text and "a workflow that is gone: 2" in many.text


def test_settings_have_defaults_and_bounds() -> None:
    assert settings_of(KINDS[NO_WORKER], {}) == {"seconds": 60}
    assert settings_of(KINDS[RUNS], {"threshold": 0, "statuses": ["FAILED", "QUEUED"]}) == {
        "threshold": 0,
        "windowSeconds": 3_600,
        "statuses": ["QUEUED", "FAILED"],
        "workflowIds": [],
    }


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (RUNS, {}),
        (RUNS, {"threshold": -1}),
        (RUNS, {"threshold": 10**30}),
        (RUNS, {"threshold": True}),
        (RUNS, {"threshold": "5"}),
        (RUNS, {"threshold": 5, "windowSeconds": 59}),
        (RUNS, {"threshold": 5, "statuses": ["LOST"]}),
        (RUNS, {"threshold": 5, "statuses": [None]}),
        (RUNS, {"threshold": 5, "workflowIds": [ALERT] * 101}),
        (QUEUE_AGE, {"threshold": 5}),
        (QUEUE_AGE, {"statuses": []}),
        (QUEUE_AGE, {"seconds": 9}),
    ],
)
def test_wrong_settings_are_refused(kind: str, given: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        settings_of(KINDS[kind], given)


def test_a_channel_that_answers_500_for_a_day_is_tried_less_and_less() -> None:
    """On a clock that is moved to when the next attempt is due."""
    now, waits = NOW, []
    for tries in range(9):
        state, due_at = judged(tries, Answered(500, "answered 500"), now, 0.0)
        assert state == NotificationState.PENDING
        waits.append(due_at - now)
        now = due_at
    assert waits == sorted(waits)
    assert now - NOW > timedelta(days=1)
    assert sum(wait < timedelta(hours=1) for wait in waits) == 3
    assert judged(9, Answered(500, "answered 500"), now, 0.0)[0] == NotificationState.FAILED


def test_a_channel_may_ask_for_rest_but_not_for_ever() -> None:
    answered = Answered(429, "answered 429", retry_after=1e9)
    state, due_at = judged(0, answered, NOW, 0.0)
    assert (state, due_at) == (NotificationState.PENDING, NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "arn:aws:sqs:eu-west-1:123456789012:name",
        "arn:aws:sns:evil.example/:123456789012:name",
        "arn:aws:sns:eu-west-1:12345678901:name",
        "arn:aws:sns:eu-west-1:123456789012:a b",
        "arn:aws:sns:eu-west-1:123456789012:" + "n" * 257,
        "arn:aws:sns:eu-west-1:123456789012:name\n",
        "arn:aws:sns:eu-west-1:\N{FULLWIDTH DIGIT ONE}23456789012:name",
    ],
)
def test_what_is_no_topic(arn: str) -> None:
    assert not is_topic(arn)


def test_topics_say_where_their_requests_go() -> None:
    assert sns_url("arn:aws:sns:eu-west-1:123456789012:a.fifo") == (
        "https://sns.eu-west-1.amazonaws.com"
    )
    assert sns_url("arn:aws-cn:sns:cn-north-1:123456789012:a") == (
        "https://sns.cn-north-1.amazonaws.com.cn"
    )
