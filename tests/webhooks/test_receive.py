"""What comes to a webhook becomes an event, or is refused with the right status; both are recorded."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from engine.models import Event
from tenants.models import Tenant
from tests.api.client import ApiClient
from tests.api.factories import make_workflow
from tests.cast import Cast
from tests.webhooks.senders import KEY, SECRET, Sender, make
from webhooks import limits, retention
from webhooks.models import Delivery, EventOrigin, Verdict, Webhook

MEBIBYTE = 1024 * 1024


def base(tenant: Tenant) -> str:
    return f"/api/v1/stable/tenants/{tenant.id}"


def test_the_event_is_listed_with_its_webhook(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant)
    answer = sender.send_json({"type": "a", "n": 1.50}, KEY)
    assert answer.json["message"] == "ok"
    [row] = api.get(f"{base(cast.tenant)}/events").json["rows"]
    assert row["triggeringWebhookName"] == "hook"
    assert (row["key"], row["payload"]) == ("hook:a", {"type": "a", "n": 1.5})
    assert row.get("additionalMetadata", {}) == {}
    assert row["metadata"]["id"] == answer.json["event"]["metadata"]["id"]
    api.delete(sender.path)
    [row] = api.get(f"{base(cast.tenant)}/events").json["rows"]
    assert row["triggeringWebhookName"] == "hook"


def test_static_values_win_and_the_parts_of_the_path_are_left_out(
    cast: Cast, api: ApiClient
) -> None:
    sender = make(api, cast.tenant, staticPayload={"source": "static", "n": {"deep": 1}})
    sent = {"type": "a", "source": "sent", "n": 2, "tenant": "x", "v1-webhook": "y", "kept": 1}
    payload = sender.send_json(sent, KEY).json["event"]["payload"]
    assert payload == {"type": "a", "source": "static", "n": {"deep": 1}, "kept": 1}


def test_names_of_headers_are_lower_case_in_expressions(cast: Cast, api: ApiClient) -> None:
    sender = make(
        api,
        cast.tenant,
        eventKeyExpression="headers['x-kind'] + ':' + input.type",
        scopeExpression="input.customer",
    )
    sent = {"type": "a", "customer": "c1"}
    event = sender.send_json(sent, KEY | {"X-KIND": "Order"}).json["event"]
    assert (event["key"], event["scope"]) == ("Order:a", "c1")


def test_the_secret_is_not_among_the_headers_of_expressions(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant, eventKeyExpression="headers['x-key']")
    assert sender.send_json({}, KEY).status == 400


def test_an_answer_without_the_event(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant, returnEventAsResponsePayload=False)
    answer = sender.send_json({"type": "a"}, KEY)
    assert (answer.status, answer.content) == (204, b"")
    assert Event.objects.count() == 1


def test_unknown_addresses_are_not_found(cast: Cast, api: ApiClient) -> None:
    make(api, cast.tenant)
    for sender in (
        Sender(cast.tenant, "other"),
        Sender(cast.other_tenant),
        Sender(cast.tenant, ""),
    ):
        assert sender.send_json({"type": "a"}, KEY).status == 404
    path = f"/api/v1/stable/tenants/{uuid4()}/webhooks/hook"
    assert ApiClient().send("POST", path, b"{}").status == 404
    assert ApiClient().send("POST", "/api/v1/stable/tenants/x/webhooks/hook", b"{}").status == 400
    assert ApiClient().send("POST", f"{Sender(cast.tenant).path}%00", b"{}").status == 404
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(
    "name", ["team/orders", "größe ☃", "a?b#c%20d", "x" * 255, "a\\b", "ops:1"]
)
def test_names_of_many_kinds_are_addresses(cast: Cast, api: ApiClient, name: str) -> None:
    sender = make(api, cast.tenant, name=name)
    assert sender.send_json({"type": "a"}, KEY).status == 200
    assert api.get(sender.path).json["name"] == name
    assert api.patch(sender.path, {"scopeExpression": "input.s"}).status == 200
    assert api.delete(sender.path).json["name"] == name


BAD_BODIES: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, Verdict.MALFORMED),
    "null": (b"null", 400, Verdict.MALFORMED),
    "list": (b"[1]", 400, Verdict.MALFORMED),
    "text": (b'"a"', 400, Verdict.MALFORMED),
    "truncated": (b'{"type": "a"', 400, Verdict.MALFORMED),
    "not UTF-8": (b'{"type": "\xff\xfe"}', 400, Verdict.MALFORMED),
    "UTF-16": ('{"type": "a"}'.encode("utf-16"), 400, Verdict.MALFORMED),
    "NUL": (b'{"type": "a\\u0000"}', 400, Verdict.MALFORMED),
    "half a pair": (b'{"type": "\\ud800"}', 400, Verdict.MALFORMED),
    "deep": (b'{"type": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, Verdict.MALFORMED),
    "rather deep": (b'{"type": ' + b"[" * 251 + b"]" * 251 + b"}", 400, Verdict.MALFORMED),
    "not a number": (b'{"type": NaN}', 400, Verdict.MALFORMED),
    "5 MB": (b'{"type": "' + b"a" * (5 * MEBIBYTE) + b'"}', 413, Verdict.TOO_LARGE),
    "key too long": (b'{"type": "' + b"a" * 1_001 + b'"}', 400, Verdict.EXPRESSION_FAILED),
}


@pytest.mark.parametrize("kind", sorted(BAD_BODIES))
def test_bad_bodies_are_refused_and_recorded(cast: Cast, api: ApiClient, kind: str) -> None:
    body, status, verdict = BAD_BODIES[kind]
    sender = make(api, cast.tenant)
    answer = sender.send(body, KEY)
    assert answer.status == status
    assert answer.error
    delivery = Delivery.objects.get()
    assert (delivery.verdict, delivery.status) == (verdict, status)
    assert delivery.error == answer.error
    assert delivery.body_bytes == len(body)
    assert len(bytes(delivery.body)) <= 256 * 1024
    assert not Event.objects.exists()
    assert sender.send_json({"type": "a"}, KEY).status == 200


def test_of_a_key_written_twice_the_last_counts(cast: Cast, api: ApiClient) -> None:
    """The one rule for JSON, here as everywhere: the signature is over the bytes, whatever they say."""
    sender = make(api, cast.tenant)
    answer = sender.send(b'{"type": "a", "type": "b", "tenant": 1, "tenant": 2}', KEY)
    assert (answer.json["event"]["key"], answer.json["event"]["payload"]) == (
        "hook:b",
        {"type": "b"},
    )


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("input.missing", "no such key"),
        ("input.n", "double"),
        ("input.flag", "bool"),
        ("input.list", "list"),
        ("input.none", "null"),
        ("''", "empty"),
        ("'  '", "empty"),
        ("string(1 / int(input.zero))", "divide by zero"),
        ("input.text[", ""),
    ],
)
def test_expressions_that_give_no_text(
    cast: Cast, api: ApiClient, expression: str, sentence: str
) -> None:
    sender = make(api, cast.tenant)
    # What is refused when a webhook is made may have been stored by an older version.
    Webhook.objects.update(event_key_expression=expression)
    values = {"n": 1, "flag": True, "list": [], "none": None, "zero": 0, "text": "a"}
    answer = sender.send_json(values, KEY)
    assert answer.status == 400
    assert sentence in answer.error
    assert Delivery.objects.get().verdict == Verdict.EXPRESSION_FAILED
    assert not Event.objects.exists()


def test_a_scope_that_fails_keeps_the_event_away(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant, scopeExpression="input.customer")
    assert sender.send_json({"type": "a"}, KEY).status == 400
    assert sender.send_json({"type": "a", "customer": 5}, KEY).status == 400
    assert not Event.objects.exists()
    assert {one.event_key for one in Delivery.objects.all()} == {"hook:a"}
    assert sender.send_json({"type": "a", "customer": ""}, KEY).json["event"].get("scope") is None


def test_a_costly_expression_is_evaluated_elsewhere_and_bounded(cast: Cast, api: ApiClient) -> None:
    costly = "[0,1,2,3,4,5,6,7,8,9]"
    pairs = "".join(f".map(x{n}, {costly}" for n in range(9)) + ")" * 9
    sender = make(api, cast.tenant, eventKeyExpression=f"string(size({costly}{pairs}))")
    answer = sender.send_json({}, KEY)
    assert answer.status == 400
    assert Delivery.objects.get().verdict == Verdict.EXPRESSION_FAILED


def test_more_calls_than_allowed_are_refused(
    cast: Cast, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(limits, "shared", limits.CallLimits(lambda: clock[0]))
    sender = make(api, cast.tenant)
    other = make(api, cast.tenant, name="other")
    statuses = [sender.send(b"{}", {}).status for _ in range(105)]
    assert statuses == [403] * 100 + [429] * 5
    assert other.send(b"{}", {}).status == 403
    clock[0] += 0.1
    assert [sender.send(b"{}", {}).status for _ in range(5)] == [403] * 5
    refused = sender.send(b"{}", {})
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    clock[0] += 60
    assert sender.send(b"{}", {}).status == 403
    assert Delivery.objects.filter(verdict=Verdict.RATE_LIMITED).count() == 1
    assert sender.send(b"", {}).error


def test_secrets_are_nowhere_to_be_seen(
    cast: Cast, api: ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    word = "open-sesame-4711"
    key = {"headerName": "X-Pass", "apiKey": word}
    by_key = make(api, cast.tenant, name="key", auth=key)
    basic = {"username": "u", "password": word}
    make(api, cast.tenant, name="basic", authType="BASIC", auth=basic)
    by_key.send_json({"type": "a"}, {"X-Pass": word, "Cookie": word, "X-Auth-Thing": word})
    by_key.send_json({"type": "a"}, {"X-Pass": word + "x", "Authorization": f"Bearer {word}"})
    answers = [
        api.get(f"{base(cast.tenant)}/webhooks").content,
        api.get(by_key.path).content,
        api.get(f"{base(cast.tenant)}/webhook-deliveries").content,
        *(
            api.get(f"{base(cast.tenant)}/webhook-deliveries/{one.id}").content
            for one in Delivery.objects.all()
        ),
    ]
    assert not any(word.encode() in answer for answer in answers)
    assert word not in caplog.text
    for row in [*Webhook.objects.values(), *Delivery.objects.values()]:
        assert word not in repr(
            {k: bytes(v) if isinstance(v, memoryview) else v for k, v in row.items()}
        )


def test_a_secret_whose_key_is_gone_is_our_fault(
    cast: Cast, api: ApiClient, settings: Settings
) -> None:
    from dataclasses import replace

    sender = make(api, cast.tenant)
    kept = settings.HATCHET.encryption_keys
    settings.HATCHET = replace(settings.HATCHET, encryption_keys=("a new key 0123456789", *kept))
    assert sender.send_json({"type": "a"}, KEY).status == 200
    settings.HATCHET = replace(settings.HATCHET, encryption_keys=("a new key 0123456789",))
    assert sender.send_json({"type": "a"}, KEY).status == 500
    assert Delivery.objects.order_by("-id")[0].verdict == Verdict.FAILED


def test_an_event_that_is_refused_leaves_only_its_record(
    cast: Cast, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.errors import ResourceExhausted
    from webhooks import accept

    def refuse(*_: Any) -> None:
        raise ResourceExhausted("too much waits")

    monkeypatch.setattr(accept, "push", refuse)
    answer = make(api, cast.tenant).send_json({"type": "a"}, KEY)
    assert (answer.status, answer.error) == (429, "too much waits")
    delivery = Delivery.objects.get()
    assert (delivery.verdict, delivery.is_verified) == (Verdict.REFUSED, True)


def test_a_record_that_cannot_be_written_takes_the_event_with_it(
    cast: Cast, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webhooks import accept, records

    real, calls = records.record, []

    def fail_once(*given: Any, **named: Any) -> None:
        calls.append(given)
        if len(calls) == 1:
            raise RuntimeError("planted")
        real(*given, **named)

    monkeypatch.setattr(accept, "record", fail_once)
    assert make(api, cast.tenant).send_json({"type": "a"}, KEY).status == 500
    assert not Event.objects.exists()
    assert not EventOrigin.objects.exists()
    assert Delivery.objects.get().verdict == Verdict.FAILED


def test_long_bodies_are_used_whole_and_kept_in_part(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant)
    long = {"type": "a", "text": "x" * 300_000}
    assert sender.send_json(long, KEY).json["event"]["payload"] == long
    delivery = Delivery.objects.get()
    assert (len(bytes(delivery.body)), delivery.is_body_whole) == (4 * 1024, False)
    assert not delivery.can_be_redelivered


def test_too_many_deliveries_go(
    cast: Cast, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEPT_OF_EACH", 3)
    monkeypatch.setattr(retention, "_CHANCE", 0)  # nothing is swept but when it is asked for
    sender = make(api, cast.tenant)
    for number in range(5):
        sender.send_json({"type": str(number)}, KEY)
        sender.send_json({"type": str(number)}, {})
    webhook = Webhook.objects.get()
    rows = api.get(f"{base(cast.tenant)}/webhook-deliveries").json["rows"]
    assert len(rows) == 10
    retention.sweep(webhook.id)
    kept = Delivery.objects.order_by("id")
    assert [one.event_key for one in kept if one.event_id] == ["hook:2", "hook:3", "hook:4"]
    assert kept.filter(event_id=None).count() == 3
    assert EventOrigin.objects.count() == 5


def test_runs_start_with_the_payload(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant, event_triggers=("hook:*",))
    make_workflow(cast.other_tenant, event_triggers=("hook:*",))
    answer = make(api, cast.tenant).send_json({"type": "a", "n": 1}, KEY)
    event = answer.json["event"]
    [run] = event["triggeredRuns"]
    assert event["workflowRunSummary"]["queued"] == 1
    details = api.get(f"/api/v1/stable/workflow-runs/{run['workflowRunId']}").json["run"]
    assert details["additionalMetadata"]["hatchet__event_id"] == event["metadata"]["id"]
    assert details["input"] == {"type": "a", "n": 1}


def test_another_secret_under_the_same_name_elsewhere_is_no_use(cast: Cast, api: ApiClient) -> None:
    make(api, cast.tenant)
    from tenants.tokens import create_token

    theirs = ApiClient(token=create_token(cast.other_tenant, "theirs")[1])
    auth = {"headerName": "X-Key", "apiKey": "other"}
    other = make(theirs, cast.other_tenant, auth=auth)
    assert other.send_json({"type": "a"}, {"X-Key": SECRET}).status == 403
    assert other.send_json({"type": "a"}, {"X-Key": "other"}).status == 200
    assert Sender(cast.tenant).send_json({"type": "a"}, {"X-Key": "other"}).status == 403
