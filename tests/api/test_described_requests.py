"""Whatever the OpenAPI document allows to ask is answered as it says.

schemathesis makes the requests up, the same ones in every run; ids are those of things that exist, or
nobody's.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tenants.rest.schema import IDEMPOTENCY_KEY
from tests.api.client import ApiClient
from tests.api.described import document
from tests.api.factories import stage_cancelling
from tests.api.rich import make_rich
from tests.cast import PASSWORD, Cast

EXAMPLES = 8
UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
SETTINGS = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

NAMES = {
    "action": "bulk",
    "dag_ids": "graph",
    "externalIds": "failed",
    "external_ids": "done",
    "id": "schedule",
    "parent_task_external_id": "done",
    "run": "done",
    "run_external_id": "done",
    "scheduled": "schedule",
    "scheduledWorkflowRunIds": "spare",
    "task": "done",
    "taskExternalId": "durable",
    "taskExternalIds": "done",
    "token": "api_token",
    "worker_id": "worker",
    "workflowId": "workflow",
    "workflowIds": "workflow",
    "workflow_ids": "workflow",
}
"""Which resource of the tenant a name in a path, query or body means; others mean what they say."""

TEXTS = {
    "cronExpression": "0 3 * * *",
    "eventKeyExpression": "'made'",
    "expression": "true",
    "headerName": "X-Key",
    "key": "api",
    "scopeExpression": "'s'",
    "signatureHeaderName": "X-Signature",
    "sourceName": "GENERIC",
    "topicArn": "arn:aws:sns:eu-west-1:123456789012:orders",
    "url": "https://example.com/a",
    "workflowName": "greet",
}
"""What means something to the server, and no schema can say."""

NEED_MORE_THAN_LUCK = {
    "DELETE /api/v1/tenants/{tenant}",
    "GET /api/v1/tenants/{tenant}/slack/start",
    "PATCH /api/v1/stable/tenants/{tenant}/retention",
    "POST /api/v1/sns/{tenant}/{event}",
    "POST /api/v1/stable/tenants/{tenant}/alert-channels",
    "POST /api/v1/stable/tenants/{tenant}/alert-rules",
    "POST /api/v1/stable/tenants/{tenant}/webhooks",
    "POST /api/v1/stable/tenants/{tenant}/webhooks/{name}",
    "POST /api/v1/tenants/{tenant}/invites",
    "POST /api/v1/tenants/{tenant}/leave",
    "POST /api/v1/tenants/{tenant}/workflows/scheduled/bulk-delete",
    "POST /api/v1/tenants/{tenant}/workflows/{name}/crons",
    "POST /api/v1/users/invites/accept",
    "POST /api/v1/users/invites/reject",
    "POST /api/v1/users/password",
    "POST /api/v1/users/register",
    *(
        f"GET /api/v1/users/{provider}/{step}"
        for provider in ("github", "google", "oidc")
        for step in ("start", "callback")
    ),
    "GET /api/v1/users/slack/callback",
}
"""Several values must fit each other there, or another person or server is needed."""


class Requests:
    """Sends what schemathesis makes up, and undoes what it does."""

    def __init__(self, cast: Cast, ids: dict[str, str]) -> None:
        self.client = ApiClient(user=cast.owner)
        self.cookies = SimpleCookie(self.client.http.cookies)
        self.ids, self.email = ids, cast.owner.email
        self.statuses: Counter[int] = Counter()

    def send(self, case: Any, *, exists: bool) -> None:
        path = re.sub(r"{(\w+)}", lambda match: self._in_path(match[1], case), case.path)
        query = urlencode(list(self._pairs(case.query or {}, exists=exists)))
        body = b""
        if isinstance(case.body, dict | list):
            body = json.dumps(self._known(case.body) if exists else case.body).encode()
        key = (case.headers or {}).get(IDEMPOTENCY_KEY)  # and none of the credentials it makes up
        headers = {IDEMPOTENCY_KEY: key} if isinstance(key, str) and key.isprintable() else {}
        with transaction.atomic():
            self.client.http.cookies = SimpleCookie(self.cookies)
            answer = self.client.send(
                case.method.upper(), f"{path}?{query}" if query else path, body, **headers
            )
            transaction.set_rollback(True)
        self.statuses[answer.status] += 1
        assert answer.status < 500, (case.method, path, query, body, answer.content)

    def _in_path(self, name: str, case: Any) -> str:
        if name == "name":
            return "greet" if "/workflows/" in case.path else "orders"
        return quote(self.ids[NAMES.get(name, name)], safe="")

    def _pairs(self, query: dict[str, Any], *, exists: bool) -> Iterator[tuple[str, str]]:
        for name, value in query.items():
            for one in value if isinstance(value, list) else [value]:
                known = self._known_value(name, one) if exists else one
                yield name, known if isinstance(known, str) else json.dumps(known)

    def _known(self, body: Any) -> Any:
        """What was made up, about things that exist."""
        if isinstance(body, list):
            return [self._known(one) for one in body]
        if not isinstance(body, dict):
            return body
        return {
            name: [self._known_value(name, one) for one in value]
            if isinstance(value, list)
            else self._known_value(name, value)
            for name, value in body.items()
        }

    def _known_value(self, name: str, value: Any) -> Any:
        if name in TEXTS:
            return TEXTS[name]
        if name in ("email", "password"):
            return self.email if name == "email" else PASSWORD
        if isinstance(value, str) and UUID_TEXT.fullmatch(value):
            return self.ids.get(NAMES.get(name, name), value)
        return self._known(value)


@pytest.fixture
def requests(cast: Cast, world: dict[str, str]) -> Requests:
    ids = make_rich(cast, world)
    ids["bulk"] = str(stage_cancelling(cast.tenant))
    return Requests(cast, ids)


@pytest.mark.timeout(900)
def test_every_operation_answers_as_described_whatever_is_asked(requests: Requests) -> None:
    never_successful, failures = [], {}
    for result in schemathesis.openapi.from_dict(document()).get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # the document is valid
        label = f"{operation.method.upper()} {operation.path}"
        requests.statuses.clear()

        @SETTINGS
        @given(case=operation.as_strategy(), exists=st.sampled_from([True, True, True, False]))
        def ask(case: Any, exists: bool) -> None:
            requests.send(case, exists=exists)

        try:
            ask()
        except AssertionError as error:
            failures[label] = str(error)[:2_000]
        if min(requests.statuses, default=500) >= 300:
            never_successful.append(label)
    assert failures == {}
    assert set(never_successful) <= NEED_MORE_THAN_LUCK
