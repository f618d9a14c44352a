"""Topics of Amazon SNS of which a tenant takes notifications."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from engine.errors import FailedPrecondition, InvalidArgument
from webhooks.alerts.sns import TOPIC_EXAMPLE, is_topic
from webhooks.models import SnsTopic

MOST_TOPICS = 50
"""Of one tenant."""


def topics_of(tenant_id: UUID) -> QuerySet[SnsTopic]:
    return SnsTopic.objects.filter(tenant_id=tenant_id).order_by("id")


def create_topic(tenant_id: UUID, arn: str, now: datetime) -> SnsTopic:
    """Take notifications of a topic. InvalidArgument, FailedPrecondition: they are not taken."""
    if not is_topic(arn):
        raise InvalidArgument(f"topicArn must look like {TOPIC_EXAMPLE}")
    if SnsTopic.objects.filter(tenant_id=tenant_id).count() >= MOST_TOPICS:
        raise InvalidArgument(f"a tenant has at most {MOST_TOPICS} topics")
    try:
        with transaction.atomic():
            return SnsTopic.objects.create(
                tenant_id=tenant_id, topic_arn=arn, created_at=now, updated_at=now
            )
    except IntegrityError as error:
        raise FailedPrecondition("this topic is registered already") from error


def ingest_url(topic: SnsTopic) -> str:
    """Where a subscription of the topic leads to; the key of its events comes behind it."""
    return f"{settings.HATCHET.server_url}/api/v1/sns/{topic.tenant_id}"
