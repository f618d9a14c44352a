"""Webhooks: the list, a new one for each source, changing, deleting, and the inspector of deliveries."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from engine.models import Event
from tenants.models import Member, Tenant, User
from tests.dashboard import factories
from tests.dashboard.factories import WEBHOOK_SECRET
from tests.webhooks.senders import SIGNERS
from webhooks import limits
from webhooks.models import Delivery, Webhook
from webhooks.sources import all_sources

MAX_QUERIES = 6


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/webhooks"


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def test_the_list_shows_the_last_delivery_of_each(
    viewer: Client,
    tenant: Tenant,
    url: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    assert "No webhooks yet" in page(viewer, url)
    for name in ("one", "two", "three"):
        webhook = factories.make_webhook(tenant, name)
        factories.deliver(webhook, b'{"type": "a"}')
        factories.deliver(webhook, b"{}", key="wrong")
    factories.make_webhook(factories.make_tenant("Elsewhere"), "foreign")
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, url)
    assert text.count("Wrong credentials") == 3
    assert "Accepted" not in text
    assert "foreign" not in text


@pytest.mark.parametrize("source", ["GITHUB", "STRIPE", "SLACK", "LINEAR", "SVIX"])
def test_a_preset_needs_a_name_and_a_secret_only(
    member: Client, url: str, tenant: Tenant, source: str
) -> None:
    form = page(member, f"{url}/new?source={source}")
    assert all_sources()[source].steps[0] in form
    assert all_sources()[source].event_key_expression in form
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" if source == "SVIX" else "a very secret word"
    fields = {
        "source": source,
        "auth": "HMAC",
        "name": f"my/{source.lower()}",
        "secret": secret,
        "event_key": f"'{source}'",
        "returns_event": "yes",
    }
    answer = member.post(f"{url}/new", fields)
    assert answer.status_code == 302
    made = Webhook.objects.get()
    shown = page(member, answer["Location"])
    path = f"/api/v1/stable/tenants/{tenant.id}/webhooks/my/{source.lower()}"
    assert path in shown
    assert secret not in shown
    assert "Nothing came yet" in shown
    body = b'{"type": "a"}'
    sent = member.post(path, body, "application/json", headers=SIGNERS[source](body))
    assert (sent.status_code, sent.json()["event"]["key"]) == (200, source)
    assert "Accepted" in page(member, f"{url}/{made.id}")


@pytest.mark.parametrize(
    ("auth", "fields"),
    [
        ("BASIC", {"user": "u", "secret": WEBHOOK_SECRET}),
        ("API_KEY", {"header": "X-Key", "secret": WEBHOOK_SECRET}),
        (
            "HMAC",
            {
                "header": "X-Sig",
                "algorithm": "SHA512",
                "encoding": "BASE64",
                "secret": WEBHOOK_SECRET,
            },
        ),
    ],
)
def test_a_generic_webhook_takes_any_credentials(
    member: Client, url: str, auth: str, fields: dict[str, str]
) -> None:
    assert 'name="secret" type="password"' in page(member, f"{url}/new?source=GENERIC&auth={auth}")
    given = {"source": "GENERIC", "auth": auth, "name": "any", "event_key": "'a'"} | fields
    assert member.post(f"{url}/new", given).status_code == 302
    made = Webhook.objects.get()
    assert (made.auth_type, made.returns_event) == (auth, False)
    assert (made.algorithm, made.encoding) == (
        fields.get("algorithm", ""),
        fields.get("encoding", ""),
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "Name must have 1 to 255"),
        ({"name": "a//b"}, "no part between slashes"),
        ({"secret": ""}, "Type the secret"),
        ({"event_key": ""}, "Event key expression is blank"),
        ({"event_key": "input."}, "Event key expression"),
        ({"scope": "1"}, "Scope expression: must come to a string"),
        ({"static": "[1]"}, "Static payload"),
        ({"header": "a b"}, "name of the header"),
        ({"algorithm": "ROT13"}, "Choose an algorithm"),
    ],
)
def test_what_is_wrong_is_said_and_the_secret_not_repeated(
    member: Client, url: str, fields: dict[str, str], sentence: str
) -> None:
    given = {
        "source": "GENERIC",
        "auth": "HMAC",
        "name": "a",
        "event_key": "'a'",
        "header": "X-Sig",
        "algorithm": "SHA256",
        "encoding": "HEX",
        "secret": WEBHOOK_SECRET,
    }
    answer = member.post(f"{url}/new", given | fields)
    assert answer.status_code == 422
    text = unescape(answer.content.decode())
    assert sentence in text
    assert WEBHOOK_SECRET not in text
    assert not Webhook.objects.exists()


def test_a_webhook_is_changed(member: Client, url: str, tenant: Tenant) -> None:
    webhook = factories.make_webhook(tenant)
    fields = {"event_key": "'b'", "scope": "input.s", "static": '{"a": 1}', "returns_event": "yes"}
    assert member.post(f"{url}/{webhook.id}/change", fields).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.event_key_expression, webhook.scope_expression) == ("'b'", "input.s")
    assert bytes(webhook.static_payload or b"") == b'{"a": 1}'
    wrong = member.post(f"{url}/{webhook.id}/change", fields | {"event_key": "1"})
    assert wrong.status_code == 422
    assert "must come to a string" in wrong.content.decode()


def test_a_webhook_is_deleted_after_asking(member: Client, url: str, tenant: Tenant) -> None:
    webhook = factories.make_webhook(tenant)
    factories.deliver(webhook, b'{"type": "a"}')
    assert "Delete the webhook orders?" in page(member, f"{url}/{webhook.id}/delete")
    assert member.post(f"{url}/{webhook.id}/delete").status_code == 302
    assert not Webhook.objects.exists()
    assert not Delivery.objects.exists()
    assert Event.objects.filter(tenant_id=tenant.id).count() == 1


def test_deliveries_are_told_apart(
    viewer: Client,
    url: str,
    tenant: Tenant,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    webhook = factories.make_webhook(tenant)
    for number in range(30):
        factories.deliver(webhook, b'{"type": "%d"}' % number)
    factories.deliver(webhook, b'{"typo": "a"}')
    with django_assert_max_num_queries(MAX_QUERIES + 1):
        text = page(viewer, f"{url}/{webhook.id}")
    assert "Expression failed" in text
    assert "no such key" in text
    assert "order:29" in text
    assert text.count('<tr id="delivery-') == 25
    assert "Older" in text
    assert "order:29" not in page(viewer, f"{url}/{webhook.id}?show=refused")
    assert "no such key" not in page(viewer, f"{url}/{webhook.id}/live?show=accepted")


def test_a_delivery_shows_everything_but_secrets(
    viewer: Client, tenant: Tenant, member: Client
) -> None:
    factories.make_version(tenant, "orders", event_triggers=("order:*",))
    delivery = factories.deliver(factories.make_webhook(tenant), b'{"type": "paid", "n": 1}')
    text = page(viewer, f"/t/{tenant.slug}/deliveries/{delivery.id}")
    for part in ("Accepted", "order:paid", "192.0.2.7", "Sender/1.0", '"type": "paid"'):
        assert part in text
    assert f"[hidden, {len(WEBHOOK_SECRET)} characters]" in text
    assert WEBHOOK_SECRET not in text
    assert "Deliver again" not in text
    assert "Deliver again" in page(member, f"/t/{tenant.slug}/deliveries/{delivery.id}")


def test_bodies_are_hidden_from_those_who_may_not_see_payloads(
    tenant: Tenant, viewer: Client, sign_in: Callable[[User], Client]
) -> None:
    Member.objects.filter(tenant=tenant).update(can_view_payloads=False)
    webhook = factories.make_webhook(tenant, static_payload=b'{"private": 1}')
    delivery = factories.deliver(webhook, b'{"type": "paid", "hush": 1}')
    assert "hush" not in page(viewer, f"/t/{tenant.slug}/deliveries/{delivery.id}")
    assert "private" not in page(viewer, f"/t/{tenant.slug}/webhooks/{webhook.id}")


def test_a_delivery_is_delivered_again(member: Client, tenant: Tenant) -> None:
    webhook = factories.make_webhook(tenant)
    delivery = factories.deliver(webhook, b'{"type": "paid"}')
    answer = member.post(f"/t/{tenant.slug}/deliveries/{delivery.id}/redeliver")
    again = Delivery.objects.latest("id")
    assert answer["Location"].endswith(str(again.id))
    assert again.redelivery_of == delivery.id
    assert "Delivered again, as a new delivery." in page(member, answer["Location"])
    forged = factories.deliver(webhook, b'{"type": "paid"}', key="wrong")
    answer = member.post(f"/t/{tenant.slug}/deliveries/{forged.id}/redeliver")
    assert answer["Location"].endswith(str(forged.id))
    assert Delivery.objects.count() == 3


def test_a_foreign_webhook_is_not_found(member: Client, tenant: Tenant) -> None:
    webhook = factories.make_webhook(factories.make_tenant("Elsewhere"))
    delivery = factories.deliver(webhook, b'{"type": "a"}')
    base = f"/t/{tenant.slug}"
    for path in (
        f"webhooks/{webhook.id}",
        f"webhooks/{webhook.id}/live",
        f"webhooks/{webhook.id}/delete",
        f"deliveries/{delivery.id}",
        f"deliveries/{delivery.id}/live",
    ):
        assert member.get(f"{base}/{path}").status_code == 404
    for path in (
        f"webhooks/{webhook.id}/change",
        f"webhooks/{webhook.id}/delete",
        f"deliveries/{delivery.id}/redeliver",
    ):
        assert member.post(f"{base}/{path}").status_code == 404
    assert Webhook.objects.get().event_key_expression == webhook.event_key_expression


def test_a_test_delivery_is_shown_as_a_delivery(member: Client, tenant: Tenant, url: str) -> None:
    webhook = factories.make_webhook(tenant)
    answer = member.post(f"{url}/{webhook.id}/test")
    delivery = Delivery.objects.get()
    assert answer["Location"] == f"/t/{tenant.slug}/deliveries/{delivery.id}"
    text = page(member, answer["Location"])
    assert "Accepted" in text
    assert "test delivery" in text
    assert Event.objects.get().key == "order:test"


def test_a_test_delivery_that_cannot_be_signed_or_comes_too_often_says_so(
    member: Client, tenant: Tenant, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = factories.make_webhook(tenant)
    monkeypatch.setattr(limits.CallLimits, "take", lambda *_: False)
    monkeypatch.setattr(limits.CallLimits, "is_first_refusal", lambda *_: False)
    answer = member.post(f"{url}/{webhook.id}/test", follow=True)
    assert "called too often" in unescape(answer.content.decode())
    Webhook.objects.update(secret=b"of another key")
    answer = member.post(f"{url}/{webhook.id}/test", follow=True)
    assert "secret cannot be read" in unescape(answer.content.decode())
    assert not Delivery.objects.exists()
