"""Deliveries: what came to webhooks and what became of it. Beside the contract, under a path of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from tenants.rest import in_query
from tenants.rest.accepted import takes_query
from tenants.rest.errors import ApiError
from tenants.rest.paging import Page, count_up_to
from webhooks.accept import deliver_again
from webhooks.api.shapes import delivery_shape, whole_delivery_shape
from webhooks.models import Delivery, Verdict
from webhooks.queries import deliveries_of


@dataclass(frozen=True, slots=True)
class DeliverySelection(Page):
    names: list[str] = in_query.texts("webhookNames")
    verdicts: list[Verdict] = in_query.members("verdicts", Verdict)


class DeliveryListView(EngineView):
    @takes_query(DeliverySelection)
    def get(self, request: Request, page: DeliverySelection, **_: Any) -> Response:
        found = deliveries_of(self.tenant.id)
        if page.names:
            found = found.filter(webhook__name__in=page.names)
        if page.verdicts:
            found = found.filter(verdict__in=page.verdicts)
        rows: list[object] = []
        for chunk in page.chunks(found.select_related("webhook")):
            rows += [delivery_shape(delivery, delivery.webhook.name) for delivery in chunk]
        return Response(page.answer(rows, count_up_to(found)))


class DeliveryView(EngineView):
    path_ids = ("tenant", "delivery")
    delivery: Delivery

    def check_resource(self) -> None:
        found = deliveries_of(self.tenant.id).defer(None).select_related("webhook")
        delivery = found.filter(id=self.ids["delivery"]).first()
        if delivery is None:
            raise ApiError(404, "there is no such delivery")
        self.delivery = delivery

    def get(self, request: Request, **_: Any) -> Response:
        may_view = self.access.can_view_payloads
        name = self.delivery.webhook.name
        return Response(whole_delivery_shape(self.delivery, name, may_view=may_view))


class RedeliverView(DeliveryView):
    http_method_names = ("post", "options")

    def post(self, request: Request, **_: Any) -> Response:
        """Deliver it once more; the answer is the new delivery, whatever became of it."""
        if not self.delivery.can_be_redelivered:
            raise ApiError(
                400, "only what came from a known sender, and is kept whole, can be redelivered"
            )
        webhook = self.delivery.webhook
        outcome = deliver_again(webhook, self.delivery, datetime.now(UTC))
        made = Delivery.objects.filter(id=outcome.delivery_id).first()
        if made is None:
            raise ApiError(404, "the webhook was deleted meanwhile")
        may_view = self.access.can_view_payloads
        return Response(whole_delivery_shape(made, webhook.name, may_view=may_view))
