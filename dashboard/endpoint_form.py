"""What a person typed about an endpoint of outgoing webhooks: read, and made into one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.http import QueryDict

from dashboard.url_filters import parse_id
from engine.errors import HatchetError
from webhooks.models import Endpoint
from webhooks.outgoing.changes import NewEndpoint, create_endpoint, update_endpoint

USUAL_KINDS = ("run.completed", "run.failed", "run.cancelled")
_FIELD_WORDS = {"url ": "The URL ", "workflowIds": "Workflows", "kinds": "events"}


@dataclass(slots=True)
class EndpointForm:
    """The fields as typed; `problems` are sentences for the top of the page."""

    url: str = ""
    description: str = ""
    kinds: tuple[str, ...] = USUAL_KINDS
    workflow_ids: tuple[UUID, ...] = ()
    problems: list[str] = field(default_factory=list)

    def add(self, error: HatchetError) -> None:
        sentence = str(error)
        for name, words in _FIELD_WORDS.items():
            sentence = sentence.replace(name, words)
        self.problems.append(sentence[:1].upper() + sentence[1:] + ".")


def read(given: QueryDict) -> EndpointForm:
    ids = (parse_id(text) for text in given.getlist("workflow"))
    return EndpointForm(
        url=given.get("url", "").strip(),
        description=given.get("description", "").strip(),
        kinds=tuple(given.getlist("kind")),
        workflow_ids=tuple(each for each in ids if each is not None),
    )


def shown(endpoint: Endpoint) -> EndpointForm:
    """Return the form of an endpoint that exists."""
    return EndpointForm(
        url=endpoint.url,
        description=endpoint.description,
        kinds=tuple(endpoint.kinds),
        workflow_ids=tuple(endpoint.workflow_ids),
    )


def create(form: EndpointForm, tenant_id: UUID, now: datetime) -> tuple[Endpoint, str] | None:
    """Make the endpoint, with its secret; None, with a problem in the form, if something is wrong."""
    try:
        new = NewEndpoint(
            url=form.url,
            description=form.description,
            kinds=form.kinds,
            workflow_ids=form.workflow_ids,
        )
        return create_endpoint(tenant_id, new, now)
    except HatchetError as error:
        form.add(error)
        return None


def change(endpoint: Endpoint, form: EndpointForm, now: datetime) -> bool:
    """Change the endpoint; False, with a problem in the form, if something is wrong."""
    try:
        update_endpoint(
            endpoint,
            now,
            url=form.url,
            description=form.description,
            kinds=form.kinds,
            workflow_ids=form.workflow_ids,
        )
    except HatchetError as error:
        form.add(error)
        return False
    return True
