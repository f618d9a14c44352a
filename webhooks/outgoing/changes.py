"""Making, changing and deleting endpoints, and what people do with them, for the API and the pages alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from engine.errors import InvalidArgument
from engine.models import Workflow
from engine.store import sync_db
from tenants.json_text import without_nul
from webhooks.encryption import encrypt
from webhooks.models import Dispatch, DispatchState, Endpoint, PauseReason
from webhooks.outgoing.gather import send_test
from webhooks.outgoing.kinds import KINDS
from webhooks.outgoing.signing import key_of, new_secret
from webhooks.outgoing.targets import problem_with

MOST_ENDPOINTS = 50
"""Of one tenant."""
MOST_WORKFLOWS = 100
LONGEST_DESCRIPTION = 500
LONGEST_SECRET = 200
ROTATION = timedelta(hours=24)
"""For how long the secret before signs too, unless somebody says otherwise."""
LONGEST_ROTATION = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """What is known of an endpoint before it exists. Without a secret one is made."""

    url: str
    kinds: Sequence[str]
    description: str = ""
    workflow_ids: Sequence[UUID] = ()
    secret: str | None = field(default=None, repr=False)


def create_endpoint(tenant_id: UUID, new: NewEndpoint, now: datetime) -> tuple[Endpoint, str]:
    """Make an endpoint; return it and its secret, which is not shown again. InvalidArgument: see there."""
    _check_url(new.url)
    _check_description(new.description)
    secret = new_secret() if new.secret is None else new.secret
    _check_secret(secret)
    kinds, workflow_ids = _kinds(new.kinds), _workflows(tenant_id, new.workflow_ids)
    if Endpoint.objects.filter(tenant_id=tenant_id).count() >= MOST_ENDPOINTS:
        raise InvalidArgument(f"a tenant has at most {MOST_ENDPOINTS} endpoints")
    made = Endpoint.objects.create(
        tenant_id=tenant_id,
        url=new.url,
        description=new.description,
        kinds=kinds,
        workflow_ids=workflow_ids,
        secret=encrypt(secret),
        created_at=now,
        updated_at=now,
    )
    return made, secret


def update_endpoint(
    endpoint: Endpoint,
    now: datetime,
    *,
    url: str | None = None,
    description: str | None = None,
    kinds: Sequence[str] | None = None,
    workflow_ids: Sequence[UUID] | None = None,
) -> None:
    """Change what is given. InvalidArgument: something of it is wrong, and nothing is changed."""
    changed = ["updated_at"]
    if url is not None:
        _check_url(url)
        endpoint.url = url
        changed.append("url")
    if description is not None:
        _check_description(description)
        endpoint.description = description
        changed.append("description")
    if kinds is not None:
        endpoint.kinds = _kinds(kinds)
        changed.append("kinds")
    if workflow_ids is not None:
        endpoint.workflow_ids = _workflows(endpoint.tenant_id, workflow_ids)
        changed.append("workflow_ids")
    endpoint.updated_at = now
    endpoint.save(update_fields=changed)


def set_paused(endpoint: Endpoint, *, is_paused: bool, now: datetime) -> None:
    """Send it nothing, or all that has gathered and what comes; who resumes one that failed lets it try anew."""
    if is_paused == bool(endpoint.pause_reason):
        return
    endpoint.pause_reason = PauseReason.PERSON.value if is_paused else ""
    endpoint.paused_at = now if is_paused else None
    endpoint.failing_since = endpoint.not_before = None
    endpoint.updated_at = now
    endpoint.save(
        update_fields=["pause_reason", "paused_at", "failing_since", "not_before", "updated_at"]
    )
    if not is_paused:
        waiting = Dispatch.objects.filter(endpoint_id=endpoint.id, state=DispatchState.PENDING)
        waiting.filter(claim_id=None).update(due_at=now, tries=0)


def rotate_secret(
    endpoint: Endpoint, now: datetime, *, secret: str | None = None, overlap: timedelta = ROTATION
) -> str:
    """Give the endpoint a new secret, and return it; until the overlap ends the one before signs too."""
    if not timedelta(0) <= overlap <= LONGEST_ROTATION:
        raise InvalidArgument(f"the overlap must be at most {LONGEST_ROTATION.days} days")
    fresh = new_secret() if secret is None else secret
    _check_secret(fresh)
    endpoint.previous_secret = bytes(endpoint.secret)
    endpoint.previous_expires_at = now + overlap
    endpoint.secret = encrypt(fresh)
    endpoint.updated_at = now
    endpoint.save(update_fields=["secret", "previous_secret", "previous_expires_at", "updated_at"])
    return fresh


def delete_endpoint(endpoint: Endpoint) -> None:
    """Delete an endpoint and what is on its way to it."""
    endpoint_id = endpoint.id
    endpoint.delete()
    Dispatch.objects.filter(endpoint_id=endpoint_id).delete()


def try_endpoint(endpoint: Endpoint, now: datetime) -> UUID:
    """Send it a message that says nothing; return the id of its dispatch."""
    return sync_db.run(send_test(endpoint.tenant_id, endpoint.id, now))


def send_again(dispatch: Dispatch, now: datetime) -> None:
    """Send one message once more, whatever became of it."""
    _again(Dispatch.objects.filter(id=dispatch.id), now)


def send_failed_again(endpoint: Endpoint, after: int, now: datetime) -> int:
    """Send anew all that was given up after a position; return how many."""
    failed = Dispatch.objects.filter(endpoint_id=endpoint.id, state=DispatchState.FAILED)
    return _again(failed.filter(position__gt=after), now)


def _again(dispatches: QuerySet[Dispatch], now: datetime) -> int:
    return dispatches.update(
        state=DispatchState.PENDING.value, due_at=now, tries=0, claim_id=None, finished_at=None
    )


def _check_url(url: str) -> None:
    problem = problem_with(url, settings.HATCHET.webhooks_allowed_networks)
    if problem is not None:
        raise InvalidArgument(f"url {problem}")


def _check_description(description: str) -> None:
    if len(description) > LONGEST_DESCRIPTION or without_nul(description) != description:
        raise InvalidArgument(f"description must have at most {LONGEST_DESCRIPTION} characters")


def _check_secret(secret: str) -> None:
    try:
        key_of(secret)
    except ValueError as error:
        raise InvalidArgument(f"secret {error}") from error


def _kinds(names: Sequence[str]) -> list[str]:
    """Return the kinds, each once and in the order of the table."""
    unknown = next((name for name in names if name not in KINDS), None)
    if unknown is not None:
        raise InvalidArgument(f"kinds must be some of {', '.join(KINDS)}")
    if not names:
        raise InvalidArgument("choose at least one of kinds")
    return [name for name in KINDS if name in names]


def _workflows(tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    wanted = sorted(set(ids))
    if len(wanted) > MOST_WORKFLOWS:
        raise InvalidArgument(f"workflowIds must hold at most {MOST_WORKFLOWS} entries")
    found = Workflow.objects.filter(tenant_id=tenant_id, id__in=wanted).count()
    if found != len(wanted):
        raise InvalidArgument("workflowIds must be workflows of this tenant")
    return wanted
