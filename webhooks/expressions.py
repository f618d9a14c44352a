"""The expressions of a webhook: what key and what scope the event of a delivery has.

What an expression may cost is told from the size of its data. So it is given what it names and no more:
most name one or two values of a payload that may have megabytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from engine.domain.cel.answers import NOWHERE, Evaluated
from engine.domain.cel.expressions import Environment, Variables, compile_expression, kind_of
from engine.errors import InvalidArgument
from engine.sandbox.pool import settled
from webhooks.arrived import Refused
from webhooks.models import Verdict

LONGEST_TEXT = 1_000
"""As long as the key or the scope of any pushed event may be."""

_TEXT = re.compile(r"""'[^'\\\n]*'|"[^"\\\n]*\"""")
_ODD_TEXT = re.compile(r"""\\|\'\'\'|\"\"\"""")
_PREFIXED_TEXT = re.compile(r"[rRbB]''")
_FROM_THE_ROOT = re.compile(r"(?:^|[^\w)\]}']|\bin)\.\s*(?:input|headers)\b")
_HEADER = re.compile(r"""(?<![.\w])headers\s*\[\s*(?:'([\w.-]+)'|"([\w.-]+)")\s*\]""", re.ASCII)
_MEMBER = re.compile(r"(?<![.\w])(input|headers)((?:\s*\.\s*[A-Za-z_]\w*\b(?!\s*\())+)", re.ASCII)
_NAME = re.compile(r"(?<![.\w])(input|headers)\b")


Paths = frozenset[tuple[str, ...]]


class Named(NamedTuple):
    """The values of `input` and of `headers` that an expression names, by their keys from the outermost.

    None for any of them.
    """

    input: Paths | None
    headers: Paths | None


@lru_cache(maxsize=1_024)
def named_in(expression: str) -> Named:
    """Tell what an expression names, from its text: what is not seen through counts as everything."""
    if _ODD_TEXT.search(expression):
        return Named(None, None)
    found: dict[str, set[tuple[str, ...]]] = {"input": set(), "headers": set()}

    def note_header(match: re.Match[str]) -> str:
        found["headers"].add((match[1] or match[2],))
        return "_"

    def note_member(match: re.Match[str]) -> str:
        found[match[1]].add(tuple(part.strip() for part in match[2].split(".")[1:]))
        return "_"

    rest = _TEXT.sub("''", _HEADER.sub(note_header, expression))
    if _PREFIXED_TEXT.search(rest) or _FROM_THE_ROOT.search(rest):
        return Named(None, None)
    rest = _MEMBER.sub(note_member, rest)
    whole = set(_NAME.findall(rest))
    return Named(
        *(None if name in whole else frozenset(found[name]) for name in ("input", "headers"))
    )


class Data(NamedTuple):
    """What expressions are about: the payload as text and as value, and the headers."""

    text: bytes
    value: Mapping[str, Any]
    headers: Mapping[str, str]

    def variables(self, expression: str) -> Variables:
        named = named_in(expression)
        return {
            "input": self.text if named.input is None else _part(self.value, named.input),
            "headers": _part(self.headers, named.headers),
        }


def _part(values: Mapping[str, Any], paths: Paths | None) -> bytes:
    """Return the JSON of what is named; numbers are doubles there anyhow."""
    return orjson.dumps(values if paths is None else _named(values, paths))


def _named(values: Mapping[str, Any], paths: Paths) -> dict[str, Any]:
    wanted = {}
    for key in {path[0] for path in paths} & values.keys():
        value, deeper = values[key], frozenset(path[1:] for path in paths if path[0] == key)
        is_in_part = isinstance(value, dict) and () not in deeper
        wanted[key] = _named(value, deeper) if is_in_part else value
    return wanted


def check(tenant_id: UUID, expression: str, field: str) -> None:
    """InvalidArgument: it does not compile, or can only come to something else than a text."""
    settled(tenant_id, lambda: compile_expression(expression, Environment.WEBHOOK, field, str))


def text_of(tenant_id: UUID, expression: str, data: Data, field: str) -> str:
    """Return the text an expression comes to. Refused: it fails, or comes to something else.

    ResourceExhausted: too many costly expressions wait already.
    """
    variables = data.variables(expression)
    found = _evaluated(expression, variables)
    if found is NOWHERE:
        found = settled(tenant_id, lambda: _evaluated(expression, variables))
    error, value = found.error, found.value
    if error is None and isinstance(value, str):
        if len(value) <= LONGEST_TEXT and "\0" not in value:
            return value
        error = f"it came to a text of more than {LONGEST_TEXT} characters, or one with a NUL"
    elif error is None:
        error = f"it came to a {kind_of(value)}, not to a text"
    raise Refused(400, Verdict.EXPRESSION_FAILED, f"{field} failed: {error}")


def _evaluated(expression: str, variables: Variables) -> Evaluated:
    try:
        program = compile_expression(expression, Environment.WEBHOOK, "it")
    except InvalidArgument as error:
        # A long one is compiled where costly ones are evaluated.
        return NOWHERE if str(NOWHERE.error) in str(error) else Evaluated(error=str(error))
    return program.evaluate(variables)
