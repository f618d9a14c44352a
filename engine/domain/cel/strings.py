"""The strings extension of CEL, bounded: what one evaluation may build is limited in total.

The library's own version has no limits, and a few bytes of `replace` or `join` can ask for terabytes.
Positions count characters, as in the extension's definition.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from cel_expr_python import cel

MAX_BUILT_CHARACTERS = 16 * 1024 * 1024
"""How much text all string functions of one evaluation may build together."""

_LARGEST_SPLIT = 100_000
_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_built = threading.local()


def begin_evaluation() -> None:
    """Start counting anew what this thread's evaluation builds."""
    _built.characters = 0


def _charge(characters: int) -> None:
    _built.characters = getattr(_built, "characters", 0) + characters
    if _built.characters > MAX_BUILT_CHARACTERS:
        raise ValueError("the expression builds too much text")


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise ValueError(f"index out of range: {index}")
    return text[index : index + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    if not 0 <= start <= len(text):
        raise ValueError(f"index out of range: {start}")
    return text.find(part, start)


def _last_index_of(text: str, part: str, start: int | None = None) -> int:
    if start is None:
        return text.rfind(part)
    if not 0 <= start <= len(text):
        raise ValueError(f"index out of range: {start}")
    return text.rfind(part, 0, start + len(part))


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise ValueError(f"invalid substring range: {start} to {stop}")
    _charge(stop - start)
    return text[start:stop]


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    count = text.count(old)
    if limit >= 0:
        count = min(count, limit)
    _charge(len(text) + count * max(0, len(new) - len(old)))
    return text.replace(old, new, count)


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    _charge(len(text))
    if separator:
        parts = text.split(separator, limit - 1 if limit > 0 else -1)
    else:
        cut = len(text) if limit < 0 else min(limit - 1, len(text))
        parts = [*text[:cut], *([text[cut:]] if cut < len(text) else [])]
    if len(parts) > _LARGEST_SPLIT:
        raise ValueError(f"split: more than {_LARGEST_SPLIT} parts")
    return parts


def _join(parts: Sequence[Any], separator: str = "") -> str:
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("join: the list holds something other than strings")
    _charge(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _ascii(table: dict[int, int]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        _charge(len(text))
        return text.translate(table)

    return convert


def _trim(text: str) -> str:
    _charge(len(text))
    return text.strip()


def _reverse(text: str) -> str:
    _charge(len(text))
    return text[::-1]


def _quote(text: str) -> str:
    _charge(2 * len(text))
    return json.dumps(text, ensure_ascii=False)


def declarations() -> list[cel.FunctionDecl]:
    """Return the functions every environment of ours knows."""
    string, integer = cel.Type.STRING, cel.Type.INT
    strings = cel.Type.List(string)

    def member(name: str, result: cel.Type, impl: Any, *signatures: list[cel.Type]) -> Any:
        overloads = [
            cel.Overload(f"hatchet_{name}_{len(arguments)}", result, arguments, True, impl)
            for arguments in signatures
        ]
        return cel.FunctionDecl(name, overloads)

    checksum = cel.Overload("hatchet_checksum", string, [string], False, _checksum)
    quote = cel.Overload("hatchet_quote", string, [string], False, _quote)
    two, three = [string, string], [string, string, string]
    return [
        cel.FunctionDecl("checksum", [checksum]),
        cel.FunctionDecl("strings.quote", [quote]),
        member("charAt", string, _char_at, [string, integer]),
        member("indexOf", integer, _index_of, two, [*two, integer]),
        member("lastIndexOf", integer, _last_index_of, two, [*two, integer]),
        member("join", string, _join, [strings], [strings, string]),
        member("lowerAscii", string, _ascii(_LOWER), [string]),
        member("upperAscii", string, _ascii(_UPPER), [string]),
        member("replace", string, _replace, three, [*three, integer]),
        member("split", strings, _split, two, [*two, integer]),
        member("substring", string, _substring, [string, integer], [string, integer, integer]),
        member("trim", string, _trim, [string]),
        member("reverse", string, _reverse, [string]),
    ]
