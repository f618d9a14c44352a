"""Sends one message by one channel: mail, or a request that is bounded as those to endpoints are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from django.conf import settings

from tenants import mail
from webhooks.alert_models import ChannelKind
from webhooks.alerts.sns import signed_publish, sns_url
from webhooks.alerts.texts import Telling, mail_of, pagerduty_of, slack_of, sns_of
from webhooks.outgoing.answered import Answered
from webhooks.outgoing.post import Poster

_MAIL_TAKEN = 250
"""What SMTP answers."""
_SHOWN = 300


async def send(
    poster: Poster,
    kind: ChannelKind,
    told: Mapping[str, Any],
    secret: str,
    address: str,
    telling: Telling,
) -> Answered:
    """`told` are the channel's settings. Whatever goes wrong is told in what is returned."""
    if kind == ChannelKind.EMAIL:
        return await _mail(address, telling)
    if kind == ChannelKind.SLACK:
        answered = await _post(poster, secret, slack_of(telling))
    elif kind == ChannelKind.PAGERDUTY:
        url = f"{settings.HATCHET.alerting.pagerduty_url}/v2/enqueue"
        answered = await _post(poster, url, pagerduty_of(telling, secret))
    else:
        answered = await _publish(poster, told, secret, telling)
    if answered.is_taken or not answered.snippet:
        return answered
    return replace(answered, error=f"{answered.error}: {answered.snippet[:_SHOWN]}")


async def _mail(address: str, telling: Telling) -> Answered:
    """A mail server may take long: a thread waits for it."""
    subject, text = mail_of(telling)
    if await asyncio.to_thread(mail.send_message, address, subject, text):
        return Answered(_MAIL_TAKEN)
    return Answered(None, "the mail has not left; the log of the engine says why")


async def _post(poster: Poster, url: str, body: Mapping[str, Any]) -> Answered:
    return await poster.post(url, {}, orjson.dumps(body))


async def _publish(
    poster: Poster, told: Mapping[str, Any], secret: str, telling: Telling
) -> Answered:
    """A thread signs: the library that does takes a while to load."""
    arn: str = told["topicArn"]
    subject, message = sns_of(telling)
    fields = {"Subject": subject, "Message": message}
    if arn.endswith(".fifo"):
        key = str(telling.alert_id or "test")
        fields |= {"MessageGroupId": key, "MessageDeduplicationId": f"{key}-{telling.sent_id}"}
    url = f"{settings.HATCHET.alerting.sns_url or sns_url(arn)}/"
    signing = partial(signed_publish, url, arn, fields, told["accessKeyId"], secret)
    headers, body = await asyncio.to_thread(signing)
    return await poster.post(url, headers, body)
