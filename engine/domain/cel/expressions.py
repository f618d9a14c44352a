"""Expressions users write (CEL): compiled once, evaluated within bounds, with errors people can read.

What an expression may cost follows from its shape and the size of its data (`cel_cost`). What is bounded
to little is evaluated on the spot; everything else is a question (`cel_answers`) for a process of its own.
JSON numbers are doubles, as everywhere in this protocol; they compare with integers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum
from functools import cache, lru_cache
from time import perf_counter
from typing import Any

from cel_expr_python import cel

from engine.domain.cel import strings as cel_strings
from engine.domain.cel.answers import PROVISIONAL, Evaluated, Opaque, Question, ask, current_answers
from engine.domain.cel.cost import inline_size
from engine.errors import InvalidArgument

MAX_EXPRESSION_LENGTH = 8_000
_LONGEST_INLINE = 1_000
"""Longer expressions are not even compiled in a process that has something else to do."""
_LONGEST_MESSAGE = 500
TOO_MUCH_MEMORY = "the expression needed too much memory"

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
    WEBHOOK = (("input", True), ("headers", True))


class Program:
    """An expression that compiles. It never changes and may be shared between threads.

    `compiled` is None if that was found out elsewhere.
    """

    def __init__(
        self, expression: str, environment: Environment, compiled: Any, result: str
    ) -> None:
        self.expression, self.environment, self.result = expression, environment, result
        self._compiled = compiled
        self._names = _names_in(expression, environment)
        self._largest = inline_size(compiled.serialize()) if compiled else -1

    def evaluate(self, variables: Variables) -> Evaluated:
        """Evaluate; variables that are not given are empty. Nothing the data holds can raise.

        The value of a costly expression is provisional until whoever drives the work has asked for it.
        """
        values = tuple([variables.get(name, "") for name, _ in self._names])
        size = 0
        for value in values:
            size += len(value)
        answers = current_answers()
        if size > self._largest or (answers is not None and answers.inline_left <= 0):
            return ask(Question(self.expression, self.environment.name, values))
        started = perf_counter()
        found = self.run(values)
        if answers is not None:
            answers.inline_left -= perf_counter() - started
        return found

    def run(self, values: tuple[bytes | str, ...]) -> Evaluated:
        """Evaluate here and now, whatever it takes, with these values of the names it uses."""
        cel_strings.begin_evaluation()
        try:
            data: dict[str, Any] = dict(_unused(self.environment))
            for (name, is_json), value in zip(self._names, values, strict=True):
                data[name] = _loads(value) if is_json else value
            outcome = self._compiled.eval(data=data)
            value = outcome.plain_value()
        except MemoryError:
            return Evaluated(error=TOO_MUCH_MEMORY)
        except (RuntimeError, ValueError, TypeError, RecursionError) as error:
            return Evaluated(error=_readable(str(error) or type(error).__name__))
        if outcome.type().name() == "ERROR":
            return Evaluated(error=_readable(str(value)))
        return Evaluated(value)


def _names_in(expression: str, environment: Environment) -> tuple[tuple[str, bool], ...]:
    """Return the names an expression may use, and which of them hold JSON."""
    return tuple(
        (name, is_json)
        for name, is_json in environment.value
        if re.search(rf"\b{name}\b", expression) is not None
    )


@cache
def _unused(environment: Environment) -> Mapping[str, Any]:
    return {name: {} if is_json else "" for name, is_json in environment.value}


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
    if isinstance(value, Opaque):
        return value.kind
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
    program = _program(expression, environment)
    if isinstance(program, str):
        raise InvalidArgument(f"{field}: {program}")
    if wanted and program.result not in (_ANYTHING, _TYPE_NAMES[wanted]):
        raise InvalidArgument(
            f"{field}: must come to a {_TYPE_NAMES[wanted].lower()}, not {program.result.lower()}"
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
_ANYTHING = "DYN"


def _program(expression: str, environment: Environment) -> Program | str:
    """Return the program or what is wrong; long texts and many at once are compiled elsewhere."""
    known = _known(expression, environment)
    if known:
        return known[0]
    answers = current_answers()
    is_short = len(expression) <= _LONGEST_INLINE
    if is_short and (answers is None or answers.inline_left > 0):
        started = perf_counter()
        known.append(compile_here(expression, environment))
        if answers is not None:
            answers.inline_left -= perf_counter() - started
        return known[0]
    answer = ask(Question(expression, environment.name, None))
    if answer is PROVISIONAL:
        return Program(expression, environment, None, _ANYTHING)
    if answer.error is not None:
        return answer.error
    found = Program(expression, environment, None, str(answer.value))
    if not is_short:
        known.append(found)
    return found


@lru_cache(maxsize=4_096)
def _known(expression: str, environment: Environment) -> list[Program | str]:
    """Return a place for what an expression compiles to, or for why it does not."""
    return []


def compile_here(expression: str, environment: Environment) -> Program | str:
    """Compile here and now, whatever it takes; return the program or what is wrong."""
    try:
        compiled = _env(environment).compile(expression)
        return Program(expression, environment, compiled, compiled.return_type().name())
    except (RuntimeError, TypeError, UnicodeError) as error:
        return _readable(str(error))


@cache
def _env(environment: Environment) -> Any:
    json_object = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return cel.NewEnv(
        variables={
            name: json_object if is_json else cel.Type.STRING for name, is_json in environment.value
        },
        functions=cel_strings.declarations(),
    )


def _loads(text: bytes | str) -> Any:
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
