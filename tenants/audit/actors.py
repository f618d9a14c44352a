"""Who is at work, as the audit log names them."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest

from tenants.audit.models import ActorKind

NOBODY = "somebody not signed in"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person has an id and an e-mail address, a token an id, a command the name of its user."""

    kind: ActorKind
    id: str = ""
    name: str = ""
    address: str = ""
    user_agent: str = ""

    @property
    def token_id(self) -> str | None:
        return self.id if self.kind is ActorKind.TOKEN else None


def actor_of_request(
    request: HttpRequest, *, user_id: UUID | None, email: str, token_id: UUID | None = None
) -> Actor:
    """Name the caller: the token if there is one, else the person."""
    is_token = token_id is not None
    known = token_id if is_token else user_id
    return Actor(
        kind=ActorKind.TOKEN if is_token else ActorKind.PERSON,
        id="" if known is None else str(known),
        name="" if is_token else email or NOBODY,
        address=str(request.META.get("REMOTE_ADDR") or ""),
        user_agent=request.headers.get("User-Agent", ""),
    )


def actor_of_command(command: str) -> Actor:
    """Name the user of the operating system who runs a command of `manage.py`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may give its user no name
        user = f"uid {os.getuid()}"
    return Actor(ActorKind.CLI, id=user, name=user, user_agent=f"manage.py {command}")
