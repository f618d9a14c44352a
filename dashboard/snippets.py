"""What a page shows, as commands and code that can be pasted."""

from __future__ import annotations

import json
import shlex
from typing import NamedTuple
from uuid import UUID

LONGEST_INPUT = 4_000
"""A longer one is better sent from a file."""


class Snippet(NamedTuple):
    name: str
    text: str


def of_run(
    server_url: str, tenant_id: UUID, run_id: UUID, workflow: str, given: str | None
) -> list[Snippet]:
    """How to read a run, start the like of it and replay it; `given` is its input, if it may be shown."""
    body = given if given and len(given) <= LONGEST_INPUT and _is_object(given) else "{}"
    return [
        Snippet("cURL", _curl(server_url, tenant_id, run_id, workflow, body)),
        Snippet("Python", _python(run_id, workflow, body)),
    ]


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _curl(server_url: str, tenant_id: UUID, run_id: UUID, workflow: str, body: str) -> str:
    token = '-H "Authorization: Bearer $HATCHET_CLIENT_TOKEN"'
    sent = f"{token} -H 'Content-Type: application/json'"
    stable = f"{server_url.rstrip('/')}/api/v1/stable"
    again = f'{{"workflowName": {json.dumps(workflow)}, "input": {" ".join(body.split(chr(10)))}}}'
    replayed = json.dumps({"externalIds": [str(run_id)]})
    return "\n".join(
        [
            "# this run",
            f"curl {token} {stable}/workflow-runs/{run_id}",
            "# one like it",
            f"curl {sent} -d {shlex.quote(again)} {stable}/tenants/{tenant_id}/workflow-runs/trigger",
            "# the same again",
            f"curl {sent} -d {shlex.quote(replayed)} {stable}/tenants/{tenant_id}/tasks/replay",
        ]
    )


def _python(run_id: UUID, workflow: str, body: str) -> str:
    return "\n".join(
        [
            "import json",
            "from hatchet_sdk import Hatchet",
            "",
            "hatchet = Hatchet()",
            f'run = hatchet.runs.get("{run_id}")',
            f"another = hatchet.runs.create({workflow!r}, json.loads({body!r}))",
            f'hatchet.runs.replay("{run_id}")',
        ]
    )
