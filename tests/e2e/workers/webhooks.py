"""The tasks of the guide's Stripe, GitHub and Slack cookbooks, and the official client of webhooks."""

from __future__ import annotations

import asyncio
from typing import Any

from hatchet_sdk import Context, Hatchet
from hatchet_sdk.clients.rest.models.v1_webhook import V1Webhook
from hatchet_sdk.clients.rest.models.v1_webhook_api_key_auth import V1WebhookAPIKeyAuth
from hatchet_sdk.clients.rest.models.v1_webhook_basic_auth import V1WebhookBasicAuth
from hatchet_sdk.clients.rest.models.v1_webhook_hmac_auth import V1WebhookHMACAuth
from hatchet_sdk.clients.rest.models.v1_webhook_source_name import V1WebhookSourceName
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, worker_name

hatchet = Hatchet()
AUTHS: dict[str, Any] = {
    "BASIC": V1WebhookBasicAuth,
    "API_KEY": V1WebhookAPIKeyAuth,
    "HMAC": V1WebhookHMACAuth,
}


class StripeObject(BaseModel):
    customer: str
    amount: int


class StripeEventData(BaseModel):
    object: StripeObject


class StripePayment(BaseModel):
    type: str
    data: StripeEventData


@hatchet.task(
    name="handle-stripe-payment",
    input_validator=StripePayment,
    on_events=["stripe:payment_intent.succeeded"],
)
def stripe_payment(given: StripePayment, ctx: Context) -> dict[str, Any]:
    return note("stripe", f"{given.data.object.customer} {given.data.object.amount}", ctx)


class PullRequest(BaseModel):
    number: int
    title: str


class GithubPullRequest(BaseModel):
    action: str
    pull_request: PullRequest


@hatchet.task(
    name="handle-github-pr",
    input_validator=GithubPullRequest,
    on_events=["github:pull_request:opened"],
)
def github_pull_request(given: GithubPullRequest, ctx: Context) -> dict[str, Any]:
    return note("github", f"{given.pull_request.number} {given.pull_request.title}", ctx)


class SlackEvent(BaseModel):
    type: str
    user: str
    text: str


class SlackEventInput(BaseModel):
    event: SlackEvent


@hatchet.task(
    name="handle-slack-mention",
    input_validator=SlackEventInput,
    on_events=["slack:event:app_mention"],
)
def slack_mention(given: SlackEventInput, ctx: Context) -> dict[str, Any]:
    return note("mention", f"{given.event.user} {given.event.text}", ctx)


class SlackCommandInput(BaseModel):
    command: str
    text: str
    user_name: str
    response_url: str


@hatchet.task(
    name="handle-slack-command",
    input_validator=SlackCommandInput,
    on_events=["slack:command:/deploy"],
)
def slack_command(given: SlackCommandInput, ctx: Context) -> dict[str, Any]:
    return note("command", f"{given.user_name} {given.command} {given.text}", ctx)


class SlackAction(BaseModel):
    action_id: str


class SlackInteractionInput(BaseModel):
    type: str
    actions: list[SlackAction]


@hatchet.task(
    name="handle-slack-interaction",
    input_validator=SlackInteractionInput,
    on_events=["slack:interaction:block_actions"],
)
def slack_interaction(given: SlackInteractionInput, ctx: Context) -> dict[str, Any]:
    return note("interaction", given.actions[0].action_id, ctx)


def note(name: str, text: str, ctx: Context) -> dict[str, Any]:
    mark(name, text)
    return {"event": (ctx.additional_metadata or {}).get("hatchet__event_id")}


# Calls of the official client, with webhooks as plain values


def shown(webhook: V1Webhook) -> dict[str, Any]:
    return webhook.model_dump(mode="json", by_alias=True, exclude={"metadata", "tenant_id"})


def make(
    source: str, name: str, expression: str, kind: str, auth: dict[str, str], **optional: Any
) -> dict[str, Any]:
    made = hatchet.webhooks.create(
        source_name=V1WebhookSourceName(source),
        name=name,
        event_key_expression=expression,
        auth=AUTHS[kind].model_validate(auth),
        **optional,
    )
    return shown(made)


def change(name: str, **changes: Any) -> dict[str, Any]:
    return shown(hatchet.webhooks.update(name, **changes))


def find(name: str) -> dict[str, Any]:
    return shown(hatchet.webhooks.get(name))


async def names(**narrowed: Any) -> list[str]:
    found = await hatchet.webhooks.aio_list(**narrowed)
    return [webhook.name for webhook in found.rows or []]


def remove(name: str) -> str:
    return hatchet.webhooks.delete(name).name


def events(key: str) -> list[dict[str, Any]]:
    """Return what the event client lists of a key, with the run that each event started."""
    rows = hatchet.event.list(keys=[key]).rows or []
    return [
        {
            "id": row.metadata.id,
            "webhook": row.triggering_webhook_name,
            "payload": row.payload,
            "scope": row.scope,
            "runs": [run.workflow_run_id for run in row.triggered_runs or []],
        }
        for row in rows
    ]


async def output_of_event(event_id: str) -> list[Any]:
    """Find the runs of an event by the mark that they carry; return what came of them."""
    found = await hatchet.runs.aio_list(additional_metadata={"hatchet__event_id": event_id})
    await asyncio.gather(
        *(hatchet.runs.get_run_ref(row.metadata.id).aio_result() for row in found.rows)
    )
    found = await hatchet.runs.aio_list(additional_metadata={"hatchet__event_id": event_id})
    return [row.output for row in found.rows]


def main() -> None:
    hatchet.worker(
        worker_name(),
        slots=10,
        workflows=[
            stripe_payment,
            github_pull_request,
            slack_mention,
            slack_command,
            slack_interaction,
        ],
    ).start()


if __name__ == "__main__":
    main()
