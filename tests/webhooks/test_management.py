"""Webhooks are made, read, changed and deleted by name, by those who may and by nobody else."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.urls import URLPattern
from pytest_django import Settings

from tenants.buckets import Buckets
from tenants.models import Member, Role, Tenant
from tenants.rest import views
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, start_run
from tests.cast import Cast
from tests.webhooks import alerting
from tests.webhooks.senders import KEY, PRESETS, SECRET, Sender, github, hmac_auth, make
from webhooks import changes
from webhooks.api.urls import urlpatterns
from webhooks.encryption import decrypt
from webhooks.models import Delivery, Endpoint, Webhook


def base(tenant: Tenant) -> str:
    return f"/api/v1/stable/tenants/{tenant.id}"


GOOD: dict[str, Any] = {
    "name": "hook",
    "sourceName": "GENERIC",
    "eventKeyExpression": "'a'",
    "authType": "HMAC",
    "auth": hmac_auth(),
}


def test_a_webhook_has_the_contracts_shape(cast: Cast, api: ApiClient) -> None:
    body = GOOD | {"scopeExpression": "input.s", "staticPayload": {"a": 1}}
    made = api.post(f"{base(cast.tenant)}/webhooks", body).json
    assert made["metadata"].keys() == {"id", "createdAt", "updatedAt"}
    assert made | {"metadata": None} == {
        "metadata": None,
        "tenantId": str(cast.tenant.id),
        "name": "hook",
        "sourceName": "GENERIC",
        "eventKeyExpression": "'a'",
        "scopeExpression": "input.s",
        "staticPayload": {"a": 1},
        "authType": "HMAC",
        "returnEventAsResponsePayload": True,
    }
    assert api.get(f"{base(cast.tenant)}/webhooks/hook").json == made


def test_the_list_is_newest_first_and_narrowed(cast: Cast, api: ApiClient) -> None:
    for name, source in (("a", "GENERIC"), ("b", "GITHUB"), ("c", "STRIPE")):
        make(api, cast.tenant, source, name=name)
    path = f"{base(cast.tenant)}/webhooks"

    def names(**query: Any) -> list[str]:
        return [row["name"] for row in api.get(path, query).json["rows"]]

    assert names() == ["c", "b", "a"]
    assert names(sourceNames=["GENERIC", "STRIPE"]) == ["c", "a"]
    assert names(webhookNames=["b"], sourceNames="GITHUB") == ["b"]
    assert names(limit=1, offset=1) == ["b"]
    assert api.get(path, {"limit": 2}).json["pagination"]["num_pages"] == 2
    assert api.get(path, {"limit": 0}).status == 400


def test_what_is_left_out_of_a_change_stays(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant, scopeExpression="input.s", staticPayload={"a": 1})
    changed = api.patch(sender.path, {"scopeExpression": "input.t"}).json
    assert (changed["scopeExpression"], changed["eventKeyExpression"]) == (
        "input.t",
        "'hook:' + input.type",
    )
    assert changed["staticPayload"] == {"a": 1}
    assert "scopeExpression" not in api.patch(sender.path, {"scopeExpression": ""}).json
    changed = api.patch(
        sender.path,
        {
            "eventKeyExpression": "'b'",
            "staticPayload": {},
            "returnEventAsResponsePayload": False,
        },
    ).json
    assert (changed["eventKeyExpression"], changed["staticPayload"]) == ("'b'", {})
    assert changed["returnEventAsResponsePayload"] is False
    assert sender.send_json({}, KEY).status == 204
    assert api.patch(sender.path, {}).json["eventKeyExpression"] == "'b'"


@pytest.mark.parametrize(
    "wrong",
    [
        {"authType": None},
        {"authType": "NONE"},
        {"auth": None},
        {"auth": "x"},
        {"auth": {}},
        {"auth": hmac_auth(algorithm="SHA3")},
        {"auth": hmac_auth(encoding="BINARY")},
        {"auth": hmac_auth(header="a b")},
        {"auth": hmac_auth(signingSecret="")},
        {"auth": hmac_auth(signingSecret="x" * 4_001)},
        {"authType": "BASIC", "auth": {"username": "a:b", "password": "x"}},
        {"authType": "BASIC", "auth": {"username": "a"}},
        {"authType": "API_KEY", "auth": {"headerName": "a\r\nb", "apiKey": "x"}},
        {"authType": "API_KEY", "auth": {"headerName": "größe", "apiKey": "x"}},
        {"sourceName": "GITLAB"},
        {"sourceName": None},
        {"name": ""},
        {"name": None},
        {"name": " a"},
        {"name": "a\nb"},
        {"name": "a//b"},
        {"name": "/a"},
        {"name": "a/"},
        {"name": ".."},
        {"name": "a/../b"},
        {"name": "x" * 256},
        {"eventKeyExpression": ""},
        {"eventKeyExpression": "input."},
        {"eventKeyExpression": "1"},
        {"eventKeyExpression": "input.a == 1"},
        {"eventKeyExpression": "unknown.a"},
        {"scopeExpression": "input."},
        {"scopeExpression": "true"},
        {"staticPayload": [1]},
        {"staticPayload": {"a": "x" * 70_000}},
        {"sourceName": "STRIPE", "authType": "API_KEY", "auth": {"headerName": "X", "apiKey": "x"}},
        {"sourceName": "SLACK", "authType": "BASIC", "auth": {"username": "a", "password": "x"}},
        {"sourceName": "SVIX", "auth": hmac_auth(signingSecret="whsec_not base64")},
        {"sourceName": "SVIX", "auth": hmac_auth(signingSecret="whsec_")},
    ],
)
def test_what_is_wrong_is_refused_when_it_is_made(
    cast: Cast, api: ApiClient, wrong: dict[str, Any]
) -> None:
    answer = api.post(f"{base(cast.tenant)}/webhooks", GOOD | wrong)
    assert answer.status == 400, answer.content
    assert answer.error
    assert not Webhook.objects.exists()


def test_a_wrong_change_changes_nothing(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant)
    before = api.get(sender.path).json
    wrong: list[dict[str, Any]] = [
        {"eventKeyExpression": "'b'", "scopeExpression": "1"},
        {"eventKeyExpression": ""},
        {"eventKeyExpression": 5},
        {"staticPayload": 1},
        {"returnEventAsResponsePayload": "yes"},
    ]
    for body in wrong:
        assert api.patch(sender.path, body).status == 400
    assert api.get(sender.path).json == before


def test_a_name_is_taken_once_in_a_tenant(cast: Cast, api: ApiClient) -> None:
    make(api, cast.tenant)
    answer = api.post(f"{base(cast.tenant)}/webhooks", GOOD)
    assert answer.status == 400
    assert "already" in answer.error
    theirs = ApiClient(token=create_token(cast.other_tenant, "theirs")[1])
    make(theirs, cast.other_tenant)


def test_there_is_an_end_to_webhooks(
    cast: Cast, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_WEBHOOKS", 1)
    make(api, cast.tenant)
    assert api.post(f"{base(cast.tenant)}/webhooks", GOOD | {"name": "b"}).status == 400


def test_a_deleted_webhook_is_gone_with_its_deliveries(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant)
    sender.send_json({"type": "a"}, KEY)
    assert api.delete(sender.path).json["name"] == "hook"
    assert not Delivery.objects.exists()
    for method in ("GET", "PATCH", "DELETE", "POST"):
        assert api.send(method, sender.path, b"{}").status == 404


# The inspector


def test_deliveries_are_listed_read_and_delivered_again(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant)
    sender.send_json({"type": "a"}, KEY | {"X-Kind": "Order"})
    sender.send_json({"type": "b"}, {})
    path = f"{base(cast.tenant)}/webhook-deliveries"
    refused, accepted = api.get(path).json["rows"]
    assert (refused["verdict"], refused["status"]) == ("FORGED", 403)
    assert (accepted["verdict"], accepted["status"]) == ("ACCEPTED", 200)
    assert [row["verdict"] for row in api.get(path, {"verdicts": "FORGED"}).json["rows"]] == [
        "FORGED"
    ]
    assert api.get(path, {"webhookNames": "other"}).json["rows"] == []
    shown = api.get(f"{path}/{accepted['metadata']['id']}").json
    assert (shown["webhookName"], shown["eventKey"]) == ("hook", "hook:a")
    assert shown["body"] == '{"type": "a"}'
    assert shown["headers"]["x-kind"] == "Order"
    assert shown["headers"]["x-key"] == f"[hidden, {len(SECRET)} characters]"
    assert shown["remoteAddress"] == "127.0.0.1"

    again = api.post(f"{path}/{accepted['metadata']['id']}/redeliver").json
    assert again["redeliveryOf"] == accepted["metadata"]["id"]
    assert (again["verdict"], again["eventKey"]) == ("ACCEPTED", "hook:a")
    assert again["eventId"] != accepted["eventId"]
    assert api.post(f"{path}/{refused['metadata']['id']}/redeliver").status == 400


def test_a_delivery_that_failed_is_delivered_again_when_the_webhook_is_mended(
    cast: Cast, api: ApiClient
) -> None:
    sender = make(api, cast.tenant, eventKeyExpression="headers['x-kind'] + input.typo")
    assert sender.send_json({"type": "a"}, KEY | {"X-Kind": "Order:"}).status == 400
    path = f"{base(cast.tenant)}/webhook-deliveries"
    identity = api.get(path).json["rows"][0]["metadata"]["id"]
    again = api.post(f"{path}/{identity}/redeliver").json
    assert (again["verdict"], again["status"]) == ("EXPRESSION_FAILED", 400)
    api.patch(sender.path, {"eventKeyExpression": "headers['x-kind'] + input.type"})
    assert api.post(f"{path}/{identity}/redeliver").json["eventKey"] == "Order:a"


def test_who_may_not_see_payloads_sees_no_bodies(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant, staticPayload={"private": 1})
    sender.send_json({"type": "a"}, KEY)
    Member.objects.filter(user=cast.viewer).update(can_view_payloads=False)
    viewer = ApiClient(user=cast.viewer)
    assert "staticPayload" not in viewer.get(sender.path).json
    identity = Delivery.objects.get().id
    shown = viewer.get(f"{base(cast.tenant)}/webhook-deliveries/{identity}").json
    assert shown["payloadsRestricted"] is True
    assert "body" not in shown


# Who may do what

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
PUBLIC = {"api/v1/asyncapi.yaml", "api/v1/sns/<str:tenant>/<str:event>"}
OF_PEOPLE = {"api/v1/users/slack/callback"}


def paths(cast: Cast, api: ApiClient) -> list[str]:
    make_workflow(cast.tenant, "greet")
    start_run(cast.tenant)
    make(api, cast.tenant).send_json({"type": "a"}, KEY)
    endpoints = f"{base(cast.tenant)}/webhook-endpoints"
    new = {"url": "https://example.com/", "kinds": ["run.failed"]}
    endpoint = api.post(endpoints, new).json["metadata"]["id"]
    filled = {
        "tenant": str(cast.tenant.id),
        "endpoint": endpoint,
        "message": api.post(f"{endpoints}/{endpoint}/test").json["messageId"],
        "name": "hook",
        "delivery": str(Delivery.objects.get().id),
        **alerting.make_one_of_each(cast.tenant),
    }
    assert all(isinstance(one, URLPattern) for one in urlpatterns)
    return [
        "/" + re.sub(r"<\w+:(\w+)>", lambda found: filled[found[1]], str(one.pattern))
        for one in urlpatterns
        if str(one.pattern) not in PUBLIC | OF_PEOPLE
    ]


def test_nobody_else_gets_in(cast: Cast, api: ApiClient) -> None:
    theirs = create_token(cast.other_tenant, "theirs")[1]
    foreign = [
        ApiClient(),
        ApiClient(token="ey.not.valid"),
        ApiClient(token=theirs),
        ApiClient(user=cast.stranger),
    ]
    receiving = f"{base(cast.tenant)}/webhooks/hook"
    for path in paths(cast, api):
        for client in foreign:
            for method in METHODS:
                status = client.send(method, path, b"{}").status
                # Whoever sends to the webhook without its key is refused by the webhook.
                assert status in (401, 403), (method, path, status)
                assert (method, path) != ("POST", receiving) or status == 403
    assert (Webhook.objects.count(), Endpoint.objects.count()) == (1, 1)
    own = f"{base(cast.other_tenant)}/webhook-deliveries/{Delivery.objects.earliest('id').id}"
    assert ApiClient(token=theirs).get(own).status == 404
    assert ApiClient(token=theirs).post(f"{own}/redeliver").status == 404


@pytest.mark.parametrize(("role", "may_write"), [(Role.VIEWER, False), (Role.MEMBER, True)])
def test_viewers_look_and_members_change(
    cast: Cast, api: ApiClient, role: Role, may_write: bool
) -> None:
    sender = make(api, cast.tenant)
    sender.send_json({"type": "a"}, KEY)
    client = ApiClient(user=cast.by_role(role))
    deliveries = f"{base(cast.tenant)}/webhook-deliveries"
    identity = Delivery.objects.get().id
    for path in (f"{base(cast.tenant)}/webhooks", sender.path, deliveries):
        assert client.get(path).status == 200
    expected = 200 if may_write else 401
    assert client.post(f"{deliveries}/{identity}/redeliver").status == expected
    assert client.post(f"{base(cast.tenant)}/webhooks", GOOD | {"name": "b"}).status == expected
    assert client.patch(sender.path, {"scopeExpression": ""}).status == expected
    assert client.delete(sender.path).status == expected


def test_an_address_may_ask_for_webhooks_ten_times_a_second(
    cast: Cast, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "asked", Buckets(10.0, 10.0, clock=lambda: 0.0))
    sender = make(api, cast.tenant)
    statuses = [api.get(sender.path).status for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert sender.send_json({"type": "a"}, KEY).status == 200
    assert api.patch(sender.path, {}).status == 200
    assert api.get(f"{base(cast.tenant)}/webhooks").status == 200


def test_the_unknown_and_the_malformed(cast: Cast, api: ApiClient) -> None:
    path = f"{base(cast.tenant)}/webhook-deliveries"
    assert api.get(f"{path}/{uuid4()}").status == 404
    assert api.get(f"{path}/x").status == 400
    assert api.get(path, {"verdicts": "x"}).status == 400
    assert api.get(f"{base(cast.tenant)}/webhooks/nothing").status == 404
    assert api.get(f"{base(cast.tenant)}/webhooks/a%00b").status == 404
    assert api.send("POST", f"{base(cast.tenant)}/webhooks", b"a=b", "text/plain").status == 415


# Secrets at rest


def test_secrets_are_encrypted_with_the_first_key_and_read_with_any(
    cast: Cast, api: ApiClient, settings: Settings
) -> None:
    from dataclasses import replace

    sender = make(api, cast.tenant)
    old = settings.HATCHET.encryption_keys
    stored = bytes(Webhook.objects.get().secret)
    assert SECRET.encode() not in stored
    assert decrypt(stored) == SECRET
    new = ("another key of sufficient length",)
    settings.HATCHET = replace(settings.HATCHET, encryption_keys=new + old)
    output = StringIO()
    call_command("encryptsecrets", stdout=output)
    assert "1 secrets" in output.getvalue()
    settings.HATCHET = replace(settings.HATCHET, encryption_keys=new)
    assert sender.send_json({"type": "a"}, KEY).status == 200
    settings.HATCHET = replace(settings.HATCHET, encryption_keys=old)
    with pytest.raises(CommandError, match="No key fits"):
        call_command("encryptsecrets", stdout=output)


@pytest.mark.parametrize("source", sorted(PRESETS))
def test_the_presets_of_the_pages_are_those_of_the_contract(source: str) -> None:
    from webhooks.sources import all_sources

    preset, auth = all_sources()[source], PRESETS[source]["auth"]
    assert preset.header_name == auth["signatureHeaderName"]
    assert (preset.algorithm, preset.encoding) == (auth["algorithm"], auth["encoding"])


def test_githubs_preset_takes_events_with_and_without_an_action(cast: Cast, api: ApiClient) -> None:
    from webhooks.sources import all_sources

    expression = all_sources()["GITHUB"].event_key_expression
    sender = make(api, cast.tenant, "GITHUB", eventKeyExpression=expression)
    keys = []
    for event, body in (("issues", b'{"action": "opened"}'), ("ping", b"{}")):
        answer = sender.send(body, github(body, event=event))
        keys.append(answer.json["event"]["key"])
    assert keys == ["github:issues:opened", "github:ping"]


def test_the_address_is_that_of_the_guide(cast: Cast, api: ApiClient) -> None:
    make(api, cast.tenant, name="a b/c")
    webhook = Webhook.objects.get()
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/webhooks/a%20b/c"
    assert changes.url_of(webhook) == f"http://hatchet.test:8080{path}"
    assert Sender(cast.tenant, "a b/c").path == path
