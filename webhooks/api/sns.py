"""Topics of Amazon SNS, and what is sent of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from tenants.rest import in_body
from tenants.rest.accepted import takes_body, takes_query
from tenants.rest.errors import ApiError
from tenants.rest.paging import Page, count_up_to
from tenants.rest.views import PublicView
from webhooks.alerts.sns import LONGEST_ARN
from webhooks.api.alert_shapes import topic_shape
from webhooks.models import SnsTopic
from webhooks.sns.receive import receive
from webhooks.sns.topics import create_topic, topics_of


@dataclass(frozen=True, slots=True)
class NewTopic:
    topic_arn: str = in_body.text("topicArn", longest=LONGEST_ARN)


class TopicListView(EngineView):
    @takes_query(Page)
    def get(self, request: Request, page: Page, **_: Any) -> Response:
        found = topics_of(self.tenant.id)
        rows = [topic_shape(topic) for topic in page.slice(found)]
        return Response(page.answer(rows, count_up_to(found)))

    @takes_body(NewTopic)
    def post(self, request: Request, given: NewTopic, **_: Any) -> Response:
        made = create_topic(self.tenant.id, given.topic_arn, datetime.now(UTC))
        return Response(topic_shape(made), status=201)


class TopicView(EngineView):
    path_ids = ("sns",)
    http_method_names = ("delete", "options")
    topic: SnsTopic

    def find_tenant(self) -> UUID:
        found = SnsTopic.objects.filter(id=self.ids["sns"]).first()
        if found is None:
            raise ApiError(404, "there is no such topic")
        self.topic = found
        return found.tenant_id

    def delete(self, request: Request, **_: Any) -> Response:
        self.topic.delete()
        return Response(status=204)


class IngestView(PublicView):
    """Not for people, but for SNS: it says who it is by its signature."""

    http_method_names = ("post", "options")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            return self.post(request, **kwargs)
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest, tenant: str, event: str) -> HttpResponseBase:
        return receive(request, tenant, event)
