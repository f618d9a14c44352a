"""The expressions of a webhook: what key and what scope the event of a delivery has."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import orjson

from engine.domain.cel.expressions import Environment, Variables, compile_expression, kind_of
from engine.errors import InvalidArgument
from engine.sandbox.pool import settled
from webhooks.arrived import Refused
from webhooks.models import Verdict

LONGEST_TEXT = 1_000
"""As long as the key or the scope of any pushed event may be."""


def variables_of(payload: bytes, headers: Mapping[str, str]) -> Variables:
    return {"input": payload, "headers": orjson.dumps(dict(headers))}


def check(tenant_id: UUID, expression: str, field: str) -> None:
    """InvalidArgument: it does not compile, or can only come to something else than a text."""
    settled(tenant_id, lambda: compile_expression(expression, Environment.WEBHOOK, field, str))


def text_of(tenant_id: UUID, expression: str, variables: Variables, field: str) -> str:
    """Return the text an expression comes to. Refused: it fails, or comes to something else.

    ResourceExhausted: too many costly expressions wait already.
    """
    found, error = settled(tenant_id, lambda: _evaluated(expression, variables, field))
    if error is None and isinstance(found, str):
        if len(found) <= LONGEST_TEXT and "\0" not in found:
            return found
        error = f"it came to a text of more than {LONGEST_TEXT} characters, or one with a NUL"
    elif error is None:
        error = f"it came to a {kind_of(found)}, not to a text"
    raise Refused(400, Verdict.EXPRESSION_FAILED, f"{field} failed: {error}")


def _evaluated(expression: str, variables: Variables, field: str) -> tuple[object, str | None]:
    try:
        program = compile_expression(expression, Environment.WEBHOOK, field)
    except InvalidArgument as error:
        return None, str(error)
    found = program.evaluate(variables)
    return found.value, found.error
