"""Form fields out of a workflow's input JSON schema, and JSON back out of the submitted form.

Strings, numbers, booleans, choices and nested objects become fields; whatever else a schema can say
becomes a field for JSON. The submitted whole is judged by the schema itself, not by the fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import validators
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from tenants.json_text import dumps, indented, loads

MAX_DEPTH = 3
MAX_FIELDS = 60
MAX_PROBLEMS = 20
_SCALARS = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}
_PREFIX = "f"


@dataclass(slots=True)
class Field:
    """One input of the form. `name` is the form's name for it: `f` and the path in the document."""

    path: tuple[str, ...]
    label: str
    kind: str
    is_required: bool
    hint: str = ""
    choices: list[tuple[str, str]] = field(default_factory=list)
    parts: list[Field] = field(default_factory=list)
    text: str = ""
    problem: str = ""

    @property
    def name(self) -> str:
        return "/".join((_PREFIX, *(_escape(key) for key in self.path)))

    def walk(self) -> Iterator[Field]:
        yield self
        for part in self.parts:
            yield from part.walk()


def fields_of(schema: Mapping[str, Any] | None) -> list[Field] | None:
    """Return the fields for an object's properties, filled with defaults; None if it has none."""
    if schema is None:
        return None
    try:
        fields = _fields(schema, schema, (), 1)
    except (TypeError, AttributeError, ValueError):
        return None
    total = sum(1 for top in fields for _ in top.walk())
    return fields if fields and total <= MAX_FIELDS else None


def _fields(
    node: Mapping[str, Any], root: Mapping[str, Any], path: tuple[str, ...], depth: int
) -> list[Field]:
    required = set(node.get("required", ()))
    return [
        _field(part, root, (*path, key), is_required=key in required, depth=depth)
        for key, part in node.get("properties", {}).items()
    ]


def _field(
    node: Any, root: Mapping[str, Any], path: tuple[str, ...], *, is_required: bool, depth: int
) -> Field:
    outer = node if isinstance(node, dict) else {}
    resolved = _resolved(outer, root)
    made = Field(
        path,
        label=str(outer.get("title") or resolved.get("title") or path[-1]),
        kind="json",
        is_required=is_required,
        hint=str(outer.get("description") or resolved.get("description") or ""),
    )
    kind = resolved.get("type")
    if choices := _choices(resolved):
        made.kind, made.choices = "choice", choices
    elif kind == "object" and resolved.get("properties") and depth < MAX_DEPTH:
        made.kind = "group"
        made.parts = _fields(resolved, root, path, depth + 1)
    elif isinstance(kind, str) and kind in _SCALARS:
        made.kind = _SCALARS[kind]
        if made.kind == "text" and resolved.get("maxLength", 0) > 200:
            made.kind = "long text"
    if "default" in outer or "default" in resolved:
        fill(made, outer.get("default", resolved.get("default")))
    return made


def _resolved(node: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow local references and unwrap "this or null", a bounded number of times."""
    for _ in range(8):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            target: Any = root
            for key in reference[2:].split("/"):
                target = target.get(key.replace("~1", "/").replace("~0", "~"), {})
            node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
            continue
        options = [one for one in node.get("anyOf", ()) if one != {"type": "null"}]
        if len(options) == 1 and len(node["anyOf"]) == 2:
            node = {**options[0], **{k: v for k, v in node.items() if k != "anyOf"}}
            continue
        break
    return node


def _choices(node: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Choices keep their JSON as value, so that 1 and "1" stay apart."""
    values = [node["const"]] if "const" in node else node.get("enum", ())
    return [(dumps(value), value if isinstance(value, str) else dumps(value)) for value in values]


def fill(made: Field, value: Any) -> None:
    """Show a value in a field."""
    if made.kind == "group":
        if isinstance(value, dict):
            for part in made.parts:
                if part.path[-1] in value:
                    fill(part, value[part.path[-1]])
    elif value is None:
        made.text = ""
    elif made.kind in {"text", "long text"} and isinstance(value, str):
        made.text = value
    elif made.kind == "boolean":
        made.text = "true" if value else "false"
    else:
        made.text = indented(dumps(value)) if made.kind == "json" else dumps(value)


def read(fields: list[Field], posted: Mapping[str, str]) -> dict[str, Any]:
    """Return the document the form describes. What cannot be read is marked in its field.

    An empty field leaves its key out.
    """
    document: dict[str, Any] = {}
    for made in fields:
        key = made.path[-1]
        if made.kind == "group":
            inner = read(made.parts, posted)
            if inner or made.is_required:
                document[key] = inner
            continue
        made.text = posted.get(made.name, "")
        if made.text == "" or (made.kind not in {"text", "long text"} and not made.text.strip()):
            continue
        try:
            document[key] = _value(made)
        except (ValueError, RecursionError):
            made.problem = _EXPECTED[made.kind]
    return document


_EXPECTED = {
    "integer": "Must be a whole number.",
    "number": "Must be a number.",
    "boolean": "Must be yes or no.",
    "choice": "Choose one of the list.",
    "json": "This is not JSON.",
}


def _value(made: Field) -> Any:
    if made.kind in {"text", "long text"}:
        return made.text
    if made.kind == "integer":
        return int(made.text)
    if made.kind == "choice" and made.text not in {value for value, _ in made.choices}:
        raise ValueError(made.text)
    value = loads(made.text)
    if made.kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError(made.text)
    if made.kind == "boolean" and not isinstance(value, bool):
        raise ValueError(made.text)
    return value


def problems_of(
    document: Any, schema: Mapping[str, Any] | None
) -> list[tuple[tuple[str, ...], str]]:
    """Return what the schema has against a document: (path, sentence); nothing is ever fetched.

    A schema that is itself broken has nothing against anything: only the worker can judge then.
    """
    if schema is None:
        return []
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)
        errors = list(kind(schema, registry=Registry()).iter_errors(document))
    except (SchemaError, Unresolvable, RecursionError):
        return []
    return [_problem(error) for error in errors[:MAX_PROBLEMS]]


def _problem(error: ValidationError) -> tuple[tuple[str, ...], str]:
    path = tuple(str(part) for part in error.absolute_path)
    if error.validator == "required":
        # The error lies with the object, the reader looks for it at the missing field.
        for name in error.validator_value:
            if error.message.startswith(f"{name!r} "):
                return (*path, name), "Required."
    return path, _sentence(error.message)


def _sentence(message: str) -> str:
    return message if len(message) <= 300 else message[:299] + "…"


def attach(fields: list[Field], problems: list[tuple[tuple[str, ...], str]]) -> list[str]:
    """Put each problem beside its field; return those that have none."""
    by_path = {made.path: made for top in fields for made in top.walk()}
    rest = []
    for path, sentence in problems:
        made = by_path.get(path) or by_path.get(path[:1])
        if made is not None and made.kind != "group":
            made.problem = made.problem or sentence
        else:
            rest.append(f"{'.'.join(path)}: {sentence}" if path else sentence)
    return rest


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
