"""Paths of webhooks. A name may hold slashes, so nothing stands behind it."""

from __future__ import annotations

from django.urls import URLPattern, path

from engine.api.url_parts import ST, get, post
from tenants.audit.declared import DATA_PLANE, Acts, Changes
from tenants.rest.schema import Operation, route
from webhooks.api import alert_urls, deliveries, endpoints, messages, webhooks
from webhooks.api.answers import (
    V1Webhook,
    V1WebhookList,
    V1WebhookResponse,
    WebhookDelivery,
    WebhookDeliveryList,
)
from webhooks.api.endpoint_answers import (
    SentAnew,
    WebhookEndpoint,
    WebhookEndpointList,
    WebhookKindList,
    WebhookMessage,
    WebhookMessageList,
)

_DELIVERIES = f"{ST}/webhook-deliveries"
_ENDPOINT = f"{ST}/webhook-endpoints/<str:endpoint>"
_MESSAGE = f"{_ENDPOINT}/messages/<str:message>"

urlpatterns: list[URLPattern] = [
    *alert_urls.urlpatterns,
    route(
        f"{ST}/webhooks",
        webhooks.WebhookListView,
        get("v1-webhook:list", V1WebhookList),
        post("v1-webhook:create", V1Webhook, Changes("webhook.create")),
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
            audits=DATA_PLANE,
        ),
        Operation("PATCH", "v1-webhook:update", V1Webhook, audits=Changes("webhook.update")),
        Operation("DELETE", "v1-webhook:delete", V1Webhook, audits=Changes("webhook.delete")),
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
        post("webhook-delivery:redeliver", WebhookDelivery, Acts("delivery.redeliver")),
    ),
    path("api/v1/asyncapi.yaml", endpoints.AsyncApiView.as_view()),
    route(
        f"{ST}/webhook-kinds",
        endpoints.KindListView,
        get("webhook-kind:list", WebhookKindList),
    ),
    route(
        f"{ST}/webhook-endpoints",
        endpoints.EndpointListView,
        get("webhook-endpoint:list", WebhookEndpointList),
        post("webhook-endpoint:create", WebhookEndpoint, Changes("endpoint.create")),
    ),
    route(
        _ENDPOINT,
        endpoints.EndpointView,
        get("webhook-endpoint:get", WebhookEndpoint),
        Operation(
            "PATCH", "webhook-endpoint:update", WebhookEndpoint, audits=Changes("endpoint.update")
        ),
        Operation(
            "DELETE", "webhook-endpoint:delete", WebhookEndpoint, audits=Changes("endpoint.delete")
        ),
    ),
    route(
        f"{_ENDPOINT}/rotate-secret",
        endpoints.RotateSecretView,
        post("webhook-endpoint:rotate-secret", WebhookEndpoint, Changes("endpoint.rotate_secret")),
    ),
    route(
        f"{_ENDPOINT}/test",
        messages.TryEndpointView,
        post("webhook-endpoint:test", WebhookMessage, Acts("endpoint.test")),
    ),
    route(
        f"{_ENDPOINT}/redeliver-failed",
        messages.SendFailedAgainView,
        post("webhook-endpoint:redeliver-failed", SentAnew, Acts("endpoint.redeliver_failed")),
    ),
    route(
        f"{_ENDPOINT}/messages",
        messages.MessageListView,
        get("webhook-message:list", WebhookMessageList),
    ),
    route(_MESSAGE, messages.MessageView, get("webhook-message:get", WebhookMessage)),
    route(
        f"{_MESSAGE}/redeliver",
        messages.RedeliverMessageView,
        post("webhook-message:redeliver", WebhookMessage, Acts("message.redeliver")),
    ),
]
