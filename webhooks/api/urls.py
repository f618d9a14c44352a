"""Paths of webhooks. A name may hold slashes, so nothing stands behind it."""

from __future__ import annotations

from django.urls import URLPattern

from engine.api.url_parts import ST, get, post
from tenants.rest.schema import Operation, route
from webhooks.api import deliveries, webhooks
from webhooks.api.answers import (
    V1Webhook,
    V1WebhookList,
    V1WebhookResponse,
    WebhookDelivery,
    WebhookDeliveryList,
)

_DELIVERIES = f"{ST}/webhook-deliveries"

urlpatterns: list[URLPattern] = [
    route(
        f"{ST}/webhooks",
        webhooks.WebhookListView,
        get("v1-webhook:list", V1WebhookList),
        post("v1-webhook:create", V1Webhook),
    ),
    route(
        f"{ST}/webhooks/<path:name>",
        webhooks.WebhookView,
        get("v1-webhook:get", V1Webhook),
        Operation(
            "POST",
            "v1-webhook:receive",
            V1WebhookResponse,
            is_public=True,
            takes_any_body=True,
            may_say_nothing=True,
        ),
        Operation("PATCH", "v1-webhook:update", V1Webhook),
        Operation("DELETE", "v1-webhook:delete", V1Webhook),
    ),
    route(
        _DELIVERIES,
        deliveries.DeliveryListView,
        get("webhook-delivery:list", WebhookDeliveryList),
    ),
    route(
        f"{_DELIVERIES}/<str:delivery>",
        deliveries.DeliveryView,
        get("webhook-delivery:get", WebhookDelivery),
    ),
    route(
        f"{_DELIVERIES}/<str:delivery>/redeliver",
        deliveries.RedeliverView,
        post("webhook-delivery:redeliver", WebhookDelivery),
    ),
]
