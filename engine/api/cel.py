"""Trying out a filter's expression before an event depends on it."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from engine.domain.cel.expressions import MAX_EXPRESSION_LENGTH, try_filter
from engine.sandbox.pool import settled
from tenants.models import Role


class DebugView(EngineView):
    """Evaluates and stores nothing, so whoever may look may do it. Its answer is always 200."""

    writing_needs = Role.VIEWER

    def post(self, request: Request, **_: Any) -> Response:
        body = self.body
        variables: dict[str, bytes | str] = {
            "input": body.document("input", is_required=True),
            "payload": body.document("filterPayload"),
            "additional_metadata": body.document("additionalMetadata"),
        }
        expression = body.any_text("expression", longest=10 * MAX_EXPRESSION_LENGTH)
        found = settled(self.tenant.id, lambda: try_filter(expression, variables))
        if found.error is not None:
            return Response({"status": "ERROR", "error": found.error})
        return Response({"status": "SUCCESS", "output": found.value})
