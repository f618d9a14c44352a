"""What a person typed to start a run: read, judged, and kept for another try."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from dashboard import schema_form
from dashboard.schema_form import Field
from engine.domain.definition import WorkflowDefinition
from tenants.json_text import (
    JsonRefused,
    dumps,
    has_escaped_nul,
    indented,
    loads,
    read_object,
)
from tenants.json_text import read_metadata as metadata_text

MAX_METADATA_PAIRS = 50
PRIORITIES = {"": None, "1": 1, "2": 2, "3": 3}


@dataclass(slots=True)
class TriggerForm:
    """`fields` is None when only raw JSON makes sense for this workflow."""

    schema: dict[str, Any] | None
    fields: list[Field] | None
    is_raw: bool
    raw: str = "{}"
    metadata: str = ""
    priority: str = ""
    raw_problem: str = ""
    metadata_problem: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        inputs = [part.problem for top in self.fields or () for part in top.walk()]
        return not (self.problems or self.raw_problem or self.metadata_problem or any(inputs))


def blank(definition: WorkflowDefinition | None, *, wants_raw: bool = False) -> TriggerForm:
    schema = _schema(definition)
    fields = schema_form.fields_of(schema)
    return TriggerForm(schema, fields, is_raw=wants_raw or fields is None)


def _schema(definition: WorkflowDefinition | None) -> dict[str, Any] | None:
    if definition is None or not definition.input_json_schema:
        return None
    try:
        schema = loads(definition.input_json_schema)
    except (ValueError, RecursionError):
        return None
    return schema if isinstance(schema, dict) else None


def prefill(form: TriggerForm, stored: bytes) -> None:
    """Start from the input of an earlier run."""
    try:
        document = loads(stored)
    except (ValueError, RecursionError):
        return
    show(form, document)


def show(form: TriggerForm, document: Any) -> None:
    form.raw = indented(dumps(document))
    if isinstance(document, dict):
        for made in form.fields or ():
            if made.path[-1] in document:
                schema_form.fill(made, document[made.path[-1]])


def read_document(form: TriggerForm, posted: Mapping[str, str]) -> Any:
    """Take the input from the fields or from the JSON text; problems are kept in the form."""
    if not form.is_raw:
        document = schema_form.read(form.fields or [], posted)
        form.raw = indented(dumps(document))
        return document
    form.raw = posted.get("input", "")
    document, form.raw_problem = _parse(form.raw)
    return document


def _parse(text: str) -> tuple[Any, str]:
    """Return the document, or None and what is wrong with its text."""
    try:
        return loads(text), ""
    except json.JSONDecodeError as error:
        return None, f"Not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
    except (ValueError, RecursionError):
        return None, "Not JSON that can be stored: too deep, or a number that is none."


def object_problem(text: str) -> str:
    """Say what is wrong with a text that should be a JSON object; nothing if it is one."""
    document, problem = _parse(text)
    return problem or _unfit(document, text, "This")


def read_input(form: TriggerForm, posted: Mapping[str, str]) -> bytes:
    """Return the input as bytes, exactly as typed if it was typed as JSON."""
    document = read_document(form, posted)
    if form.raw_problem:
        return b""
    data = form.raw if form.is_raw else dumps(document)
    if problem := _unfit(document, data):
        form.problems.append(problem)
        return b""
    rest = schema_form.problems_of(document, form.schema)
    form.problems += schema_form.attach([] if form.is_raw else form.fields or [], rest)
    return data.encode()


def _unfit(document: Any, data: str, what: str = "The input") -> str:
    if not isinstance(document, dict):
        return f'{what} must be a JSON object, such as {{}} or {{"key": "value"}}.'
    encoded = data.encode(errors="replace")
    if has_escaped_nul(encoded):
        return f"{what} holds a NUL character, which cannot be stored."
    most = settings.HATCHET.grpc_max_message_bytes
    if len(encoded) > most:
        return f"{what} is {len(encoded):,} bytes long; at most {most:,} are allowed."
    try:
        read_object(data)
    except JsonRefused as error:
        return f"{what} {error}."
    return ""


def read_metadata(form: TriggerForm, posted: Mapping[str, str]) -> bytes | None:
    """Read `key: value` lines into a JSON object of strings; None when there are none."""
    form.metadata = posted.get("metadata", "")
    pairs: dict[str, str] = {}
    for number, line in enumerate(form.metadata.splitlines(), 1):
        if not line.strip():
            continue
        key, colon, value = line.partition(":")
        if not colon or not key.strip():
            form.metadata_problem = f"Line {number} is not of the form key: value."
            return None
        pairs[key.strip()] = value.strip()
    if "\0" in form.metadata:
        form.metadata_problem = "Metadata cannot hold a NUL character."
    elif len(pairs) > MAX_METADATA_PAIRS:
        form.metadata_problem = f"At most {MAX_METADATA_PAIRS} pairs are allowed."
    if not pairs or form.metadata_problem:
        return None
    try:
        return metadata_text(json.dumps(pairs))
    except JsonRefused as error:
        form.metadata_problem = f"Metadata {error}."
        return None


def read_priority(form: TriggerForm, posted: Mapping[str, str]) -> int | None:
    form.priority = posted.get("priority", "")
    if form.priority not in PRIORITIES:
        form.problems.append("The priority must be 1, 2 or 3.")
        return None
    return PRIORITIES[form.priority]
