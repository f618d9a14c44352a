"""Expressions users write (CEL): compiled once, evaluated within bounds, with errors people can read.

JSON numbers are doubles, as everywhere in this protocol; they compare with integers. The parser bounds
the depth of an expression and the evaluator its iterations; size and growth are bounded here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from typing import Any

from cel_expr_python import cel

from engine.domain import cel_strings
from engine.errors import InvalidArgument

MAX_EXPRESSION_LENGTH = 8_000
MAX_LOOPED_BYTES = 512 * 1024
"""How large the data of an expression that loops may be."""
_MAX_GROWN_BYTES = 256 * 1024 * 1024
_MAX_ITERATIONS = 10_000
_LONGEST_MESSAGE = 500

_LOOPS = re.compile(r"\b(?:map|filter|all|exists|exists_one)\b")
_POSITION = re.compile(r"<input>:(-?\d+):(-?\d+): ")
_CODE = re.compile(r"^[A-Z_]+: (?=\S)")

Variables = Mapping[str, "bytes | str"]
"""JSON object texts as bytes, strings as they are."""


class Environment(Enum):
    """Where an expression is used: the names it may refer to, True for JSON objects."""

    KEY = (("input", True), ("additional_metadata", True), ("workflow_run_id", False))
    IDEMPOTENCY = (("input", True), ("additional_metadata", True))
    FILTER = (
        ("input", True),
        ("payload", True),
        ("additional_metadata", True),
        ("event_id", False),
        ("event_key", False),
    )
    CONDITION = (("input", True), ("output", True))


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an expression came to: a value, or an error to be shown."""

    value: Any = None
    error: str | None = None


class Program:
    """A compiled expression. It never changes and may be shared between threads."""

    def __init__(self, expression: str, compiled: Any, environment: Environment) -> None:
        self.expression = expression
        self._compiled = compiled
        self._names = tuple(
            (name, is_json, re.search(rf"\b{name}\b", expression) is not None)
            for name, is_json in environment.value
        )
        self._loops = len(_LOOPS.findall(expression))
        self._additions = expression.count("+")

    def evaluate(self, variables: Variables) -> Evaluated:
        """Evaluate; variables that are not given are empty. Nothing the data holds can raise."""
        size = sum(len(variables.get(name, "")) for name, _, is_used in self._names if is_used)
        if problem := self._too_large(size):
            return Evaluated(error=problem)
        cel_strings.begin_evaluation()
        try:
            data = {
                name: (_loads(variables.get(name)) if is_used else {})
                if is_json
                else variables.get(name, "")
                for name, is_json, is_used in self._names
            }
            outcome = self._compiled.eval(data=data)
            value = outcome.plain_value()
        except (RuntimeError, ValueError, TypeError, RecursionError, MemoryError) as error:
            return Evaluated(error=_readable(str(error) or type(error).__name__))
        if outcome.type().name() == "ERROR":
            return Evaluated(error=_readable(str(value)))
        return Evaluated(value)

    def _too_large(self, size: int) -> str | None:
        """Refuse what could take seconds or gigabytes, judged by how often text may double."""
        if self._loops and size > MAX_LOOPED_BYTES:
            return f"the data is too large ({size} bytes) for an expression with a loop"
        stages = self._loops + 1
        growth = (1 + self._additions / stages) ** stages if self._additions else 1
        iterations = min(_MAX_ITERATIONS, size // 8) if self._loops and self._additions else 1
        if growth * size * max(1, iterations) > _MAX_GROWN_BYTES:
            return f"the data is too large ({size} bytes) for an expression that adds texts up"
        return None


_KIND_NAMES = {
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    type(None): "null",
}


def kind_of(value: Any) -> str:
    """Return what expressions call values of this kind."""
    return _KIND_NAMES.get(type(value), type(value).__name__)


def compile_expression(
    expression: str, environment: Environment, field: str, wanted: type | None = None
) -> Program:
    """Return the program. InvalidArgument names `field` and says what is wrong and where.

    `wanted` (bool, str or int) refuses expressions that can only come to something else.
    """
    if len(expression) > MAX_EXPRESSION_LENGTH:
        raise InvalidArgument(f"{field} is longer than {MAX_EXPRESSION_LENGTH} characters")
    if "\0" in expression:
        raise InvalidArgument(f"{field} contains a null character")
    if not expression.strip():
        raise InvalidArgument(f"{field} is blank")
    program, error = _compile(expression, environment)
    if program is None:
        raise InvalidArgument(f"{field}: {error}")
    result = program._compiled.return_type().name()
    if wanted and result != "DYN" and result != _TYPE_NAMES[wanted]:
        raise InvalidArgument(
            f"{field}: must come to a {_TYPE_NAMES[wanted].lower()}, not {result.lower()}"
        )
    return program


def try_filter(expression: str, variables: Variables) -> Evaluated:
    """Evaluate a filter's expression: the value is true or false, or there is an error."""
    try:
        program = compile_expression(expression, Environment.FILTER, "expression")
    except InvalidArgument as error:
        return Evaluated(error=str(error))
    found = program.evaluate(variables)
    if found.error is None and not isinstance(found.value, bool):
        sentence = f"it came to {found.value!r}, neither true nor false"
        return Evaluated(error=sentence[:_LONGEST_MESSAGE])
    return found


_TYPE_NAMES: dict[type, str] = {bool: "BOOL", str: "STRING", int: "INT"}


@lru_cache(maxsize=4_096)
def _compile(expression: str, environment: Environment) -> tuple[Program | None, str]:
    try:
        return Program(expression, _env(environment).compile(expression), environment), ""
    except (RuntimeError, TypeError, UnicodeError) as error:
        return None, _readable(str(error))


@cache
def _env(environment: Environment) -> Any:
    json_object = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return cel.NewEnv(
        variables={
            name: json_object if is_json else cel.Type.STRING for name, is_json in environment.value
        },
        functions=cel_strings.declarations(),
    )


def _loads(text: bytes | str | None) -> Any:
    return json.loads(text, parse_int=float) if text else {}


def _readable(message: str) -> str:
    """Return the first sentence of the library's message, with the place where it has one."""
    line = next((line for line in message.splitlines() if line.strip()), "unknown error")
    line = _CODE.sub("", line.strip()).removeprefix("ERROR: ")
    place = _POSITION.match(line)
    if place:
        line = line[place.end() :].replace(" (in container '')", "")
        if int(place[1]) > 0:
            line = f"line {place[1]}, column {place[2]}: {line}"
    line = re.sub(r" \[[A-Z_]+\]$", "", line).replace("Key not found in map :", "no such key:")
    # What is quoted from the data may hold what cannot be stored.
    return line[:_LONGEST_MESSAGE].replace("\0", "\ufffd").encode(errors="replace").decode()
