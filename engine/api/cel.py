"""Trying out a filter's expression before an event depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from engine.domain.cel.expressions import MAX_EXPRESSION_LENGTH, try_filter
from engine.sandbox.pool import settled
from tenants.models import Role
from tenants.rest import in_body
from tenants.rest.accepted import takes_body


@dataclass(frozen=True, slots=True)
class Trial:
    input: bytes = in_body.document("input", is_required=True)
    payload: bytes = in_body.document("filterPayload")
    additional_metadata: bytes = in_body.document("additionalMetadata")
    expression: str = in_body.any_text("expression", longest=10 * MAX_EXPRESSION_LENGTH)


class DebugView(EngineView):
    """Evaluates and stores nothing, so whoever may look may do it. Its answer is always 200."""

    writing_needs = Role.VIEWER

    @takes_body(Trial)
    def post(self, request: Request, trial: Trial, **_: Any) -> Response:
        variables: dict[str, bytes | str] = {
            "input": trial.input,
            "payload": trial.payload,
            "additional_metadata": trial.additional_metadata,
        }
        found = settled(self.tenant.id, lambda: try_filter(trial.expression, variables))
        if found.error is not None:
            return Response({"status": "ERROR", "error": found.error})
        return Response({"status": "SUCCESS", "output": found.value})
