"""What a person typed about a filter: read, judged, tried out on a sample event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from dashboard.payloads import show_json
from dashboard.trigger_form import object_problem
from engine.domain.cel.answers import Evaluated
from engine.domain.cel.expressions import (
    MAX_EXPRESSION_LENGTH,
    Environment,
    compile_expression,
    try_filter,
)
from engine.errors import HatchetError
from engine.models.filters import Filter
from engine.sandbox.pool import settled
from engine.store.filters import NewFilter

MAX_SCOPE = 1_000


@dataclass(slots=True)
class FilterForm:
    """`sample_*` describe an event to try the expression on; `verdict` is what came of it."""

    scope: str = ""
    expression: str = ""
    payload: str = "{}"
    sample: str = "{}"
    sample_metadata: str = "{}"
    sample_key: str = ""
    wrong: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    verdict: str = ""
    verdict_state: str = ""

    @property
    def is_good(self) -> bool:
        return not (self.wrong or self.problems)

    def wanted(self) -> NewFilter:
        return NewFilter(self.scope, self.expression, self.payload.encode())


def read_filter_form(given: Mapping[str, str], tenant_id: UUID) -> FilterForm:
    form = FilterForm(
        scope=given.get("scope", "").strip(),
        expression=given.get("expression", "").strip(),
        payload=given.get("payload", "").strip() or "{}",
        sample=given.get("sample", "").strip() or "{}",
        sample_metadata=given.get("sample_metadata", "").strip() or "{}",
        sample_key=given.get("sample_key", "").strip(),
    )
    if not form.scope or len(form.scope) > MAX_SCOPE or "\0" in form.scope:
        form.wrong["scope"] = f"A scope has 1 to {MAX_SCOPE} characters and no NUL."
    if problem := _expression_problem(form.expression, tenant_id):
        form.wrong["expression"] = problem
    if problem := object_problem(form.payload):
        form.wrong["payload"] = problem
    return form


def _expression_problem(expression: str, tenant_id: UUID) -> str:
    if not expression:
        return f"Write a CEL expression of at most {MAX_EXPRESSION_LENGTH} characters."
    try:
        settled(
            tenant_id,
            lambda: compile_expression(expression, Environment.FILTER, "expression", bool),
        )
    except HatchetError as error:
        return str(error)
    return ""


def shown_filter(found: Filter, *, may_view: bool) -> FilterForm:
    shown = show_json(bytes(found.payload), None) if may_view else None
    return FilterForm(found.scope, found.expression, shown.text if shown else "")


def try_out(form: FilterForm, tenant_id: UUID) -> None:
    """Evaluate the expression as a push would, without storing anything."""
    form.wrong = {name: why for name, why in form.wrong.items() if name == "payload"}
    for name, text in (("sample", form.sample), ("sample_metadata", form.sample_metadata)):
        if problem := object_problem(text):
            form.wrong[name] = problem
    if form.wrong:
        return
    variables: dict[str, bytes | str] = {
        "input": form.sample.encode(),
        "payload": form.payload.encode(),
        "additional_metadata": form.sample_metadata.encode(),
        "event_id": "",
        "event_key": form.sample_key,
    }
    try:
        found = settled(tenant_id, lambda: try_filter(form.expression, variables))
    except HatchetError as error:
        found = Evaluated(error=str(error))
    if found.error is not None:
        form.verdict, form.verdict_state = f"No run: {found.error}", "error"
    elif found.value:
        form.verdict, form.verdict_state = "True: this event starts a run.", "success"
    else:
        form.verdict, form.verdict_state = "False: this event starts nothing.", "calm"
