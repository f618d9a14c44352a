"""The one rule for JSON that comes in, and the ways to handle it without losing a digit of it.

Every entrance (gRPC, REST, forms) judges documents here. What is accepted can be stored, found, inherited
and given back with the same value; so documents stay texts, and answers and merges are put together of
their parts. A document is UTF-8, strictly JSON, as long as the message or body that brings it may be, and at
most MAX_DEPTH levels deep; its numbers fit into a double; its strings hold neither a NUL nor half of a
surrogate pair. Of a key written twice the last counts. Metadata, which Postgres searches, has a bound of its
own: see `read_metadata`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from typing import Any

import orjson

MAX_METADATA_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 250
MAX_NUMBER_LENGTH = 1_000
MAX_EXPONENT = 400

_DEEPEST_DUMP = 254
"""orjson writes no deeper documents, which makes it the fastest judge of depth."""
_SHORTEST_TOO_DEEP = 2 * MAX_DEPTH
"""Each level has a bracket at either end."""
_HALF_CHARACTER = "contains half of a surrogate pair, which is no character"
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
# Cheap looks, none of which goes over a digit twice: what follows a number is not what follows hex digits.
_EXPONENT = re.compile(rb"[0-9][eE][-+]?[0-9]++[ \t\n\r]*+[,\]}]")
_LONG_RUN = re.compile(rb"(?<![0-9])[0-9]{300}")
_STRING_OR_NUMBER = re.compile(rb'"(?:[^"\\]++|\\.)*+"|(-?[0-9][-+.0-9eE]*+)')
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{},:]|[^\s\[\]{},:"]++')
_BLANKS = re.compile(r"[ \t\n\r]*")
_quoted = json.JSONEncoder(ensure_ascii=False).encode
_decoder = json.JSONDecoder(parse_int=str, parse_float=str)


class JsonRefused(ValueError):
    """The text goes on from the name of what is refused: `is not valid JSON: …`."""


class TooDeep(JsonRefused):
    pass


def read_json(encoded: bytes, *, levels_around: int = 0) -> Any:
    """Return the value of a text that keeps the rule, its numbers only as near as doubles come.

    `levels_around` are those of an envelope, whose documents may be MAX_DEPTH deep themselves.
    """
    try:
        value = orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        if "surrogate in string" in str(error):
            raise JsonRefused(_HALF_CHARACTER) from error
        raise JsonRefused(f"is not valid JSON: {error}") from error
    if has_escaped_nul(encoded):
        raise JsonRefused("contains a null character (\\u0000)")
    if len(encoded) >= _SHORTEST_TOO_DEEP:
        _judge_depth(value, levels_around)
    return value


def _judge_depth(value: Any, levels_around: int) -> None:
    probe = value
    for _ in range(_DEEPEST_DUMP - MAX_DEPTH - levels_around):
        probe = [probe]
    try:
        orjson.dumps(probe)
    except orjson.JSONEncodeError as error:
        raise TooDeep(f"is nested more than {MAX_DEPTH} levels deep") from error


def read_object(raw: str | bytes) -> bytes:
    """Return the text of a JSON object as it came; `{}` for a blank one and for `null`: nothing given."""
    encoded = _given(raw)
    if not encoded:
        return b"{}"
    if not isinstance(read_json(encoded), dict):
        raise JsonRefused("must be a JSON object")
    return encoded


def read_metadata(raw: str | bytes) -> bytes | None:
    """Return the text of a JSON object that a `jsonb` column can hold; None for a blank one and `null`.

    It has at most MAX_METADATA_BYTES, with its numbers written out: Postgres knows no exponents.
    """
    if not _given(raw):
        return None
    encoded = read_object(raw)
    if len(encoded) > MAX_METADATA_BYTES:
        raise JsonRefused(f"is larger than {MAX_METADATA_BYTES} bytes")
    is_odd = _EXPONENT.search(encoded) or (len(encoded) > 300 and _LONG_RUN.search(encoded))
    if is_odd and _written_out(encoded) > MAX_METADATA_BYTES:
        raise JsonRefused(f"is larger than {MAX_METADATA_BYTES} bytes with its numbers written out")
    return encoded


def has_escaped_nul(encoded: bytes) -> bool:
    return b"\\u0000" in encoded and _ESCAPED_NUL.search(encoded) is not None


def without_nul(text: str) -> str:
    """Return a text that Postgres can store: it is worth more than the character."""
    return text.replace("\0", "\ufffd")


def _given(raw: str | bytes) -> bytes:
    """Return the text, nothing for what stands for nothing."""
    try:
        encoded = raw.encode() if isinstance(raw, str) else raw
    except UnicodeEncodeError as error:
        raise JsonRefused(_HALF_CHARACTER) from error
    return b"" if encoded.strip() in (b"", b"null") else encoded


def _written_out(encoded: bytes) -> int:
    """Return the length with numbers written out; refuse those that are too long for a column."""
    length = len(encoded)
    for found in _STRING_OR_NUMBER.finditer(encoded):
        number: bytes | None = found[1]
        if number is None:
            continue
        exponent = abs(int(number.lower().partition(b"e")[2] or b"0"))
        if len(number) > MAX_NUMBER_LENGTH or exponent > MAX_EXPONENT:
            raise JsonRefused(
                f"holds a number of more than {MAX_NUMBER_LENGTH} characters "
                f"or with an exponent beyond {MAX_EXPONENT}"
            )
        length += exponent
    return length


# Texts of documents that were checked


def members(text: str | bytes | None) -> dict[str, str]:
    """Return the keys of an object with the texts of their values; nothing of no object at all."""
    source = text.decode() if isinstance(text, bytes) else text or "{}"
    found: dict[str, str] = {}
    at = _after_blanks(source, _after_blanks(source, 0) + 1)
    while source[at] != "}":
        key, at = _decoder.raw_decode(source, at)
        start = _after_blanks(source, _after_blanks(source, at) + 1)
        _, end = _decoder.raw_decode(source, start)
        found[key] = source[start:end]
        at = _after_blanks(source, end)
        if source[at] == ",":
            at = _after_blanks(source, at + 1)
    return found


def _after_blanks(source: str, at: int) -> int:
    match = _BLANKS.match(source, at)
    assert match is not None, "it matches nothing, too"
    return match.end()


def object_of(parts: Mapping[str, str]) -> bytes:
    """Return the object whose values have these texts."""
    return (
        "{" + ",".join(f"{_quoted(key)}:{value}" for key, value in parts.items()) + "}"
    ).encode()


def with_texts(text: str | bytes | None, texts: Mapping[str, str]) -> bytes:
    """Return the object with these strings in it, in the place of what their keys had.

    Without such a key, which may also be written with escapes, nothing needs to be taken apart.
    """
    source = text.encode() if isinstance(text, str) else text or b"{}"
    added = orjson.dumps(texts)
    if b"\\u" in source or any(key.encode() in source for key in texts):
        return object_of(members(source) | members(added))
    inner = source.strip()[1:-1].strip()
    return b"{" + inner + b"," + added[1:] if inner else added


def indented(text: str) -> str:
    """Return the document on lines of their own, for people, every token as it was written."""
    return "".join(_indented(text))


def _indented(text: str) -> Iterator[str]:
    depth, before = 0, ""
    for token in _TOKEN.findall(text):
        if token in "]}":
            depth -= 1
            if before not in "[{":
                yield "\n" + "  " * depth
        elif before in ("[", "{", ","):
            yield "\n" + "  " * depth
        yield ": " if token == ":" else token
        depth += token in ("[", "{")
        before = token


class Number(float):
    """A number that is not what its double prints; `text` is how it was written."""

    __slots__ = ("text",)
    text: str


def loads(text: str | bytes) -> Any:
    """Return the value of a document with every digit of its numbers, for `dumps` to write again."""
    return json.loads(text, parse_float=_number, parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _number(text: str) -> float:
    plain = float(text)
    try:
        if Decimal(repr(plain)) == Decimal(text):
            return plain
    except InvalidOperation:
        pass  # An exponent that even decimals do not have.
    number = Number(plain)
    number.text = text
    return number


def dumps(value: Any) -> str:
    """Write a value that may hold numbers of `loads`."""
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{_quoted(key)}: {dumps(part)}" for key, part in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(dumps, value)) + "]"
    return value.text if isinstance(value, Number) else _quoted(value)


def canonical(text: str | bytes) -> bytes:
    """Return the same bytes for documents that differ in the order of their keys only."""
    value = json.loads(text, parse_float=_number, object_pairs_hook=_in_order)
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return dumps(value).encode()


def _in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(sorted(pairs, key=itemgetter(0)))
