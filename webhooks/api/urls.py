"""Paths of webhooks. A name may hold slashes, so nothing stands behind it."""

from __future__ import annotations

from django.urls import URLPattern

from engine.api.url_parts import PAGE, ST, get, post
from tenants.rest.schema import Operation, route
from webhooks.api import deliveries, webhooks

_CHANGES = (
    "scopeExpression staticPayload:object returnEventAsResponsePayload:boolean eventKeyExpression"
)

urlpatterns: list[URLPattern] = [
    route(
        f"{ST}/webhooks",
        webhooks.WebhookListView,
        get(
            "v1-webhook:list",
            "V1WebhookList",
            f"{PAGE} sourceNames:string[] webhookNames:string[]",
        ),
        post(
            "v1-webhook:create",
            "V1Webhook",
            f"sourceName! name! {_CHANGES}! authType! auth:object!",
        ),
    ),
    route(
        f"{ST}/webhooks/<path:name>",
        webhooks.WebhookView,
        get("v1-webhook:get", "V1Webhook"),
        Operation("POST", "v1-webhook:receive", "V1WebhookResponse", is_public=True),
        Operation("PATCH", "v1-webhook:update", "V1Webhook", body=_CHANGES),
        Operation("DELETE", "v1-webhook:delete", "V1Webhook"),
    ),
    route(
        f"{ST}/webhook-deliveries",
        deliveries.DeliveryListView,
        get(
            "webhook-delivery:list",
            "WebhookDeliveryList",
            f"{PAGE} webhookNames:string[] verdicts:string[]",
        ),
    ),
    route(
        f"{ST}/webhook-deliveries/<str:delivery>",
        deliveries.DeliveryView,
        get("webhook-delivery:get", "WebhookDelivery"),
    ),
    route(
        f"{ST}/webhook-deliveries/<str:delivery>/redeliver",
        deliveries.RedeliverView,
        post("webhook-delivery:redeliver", "WebhookDelivery"),
    ),
]
