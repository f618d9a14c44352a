"""What evaluating an expression may cost, told from its checked form and the size of its data alone.

Estimates are upper bounds in microseconds of an ordinary core, for any data of that size: every value is
as long as the data, every list has as many elements as fit, every loop runs through all of them. What is
not known here has no bound. The form is that of cel.expr.CheckedExpr, read straight from its bytes.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import NamedTuple

INLINE_LIMIT = 4_500.0
"""What costs more is not evaluated in a process that has something else to do."""

_SIZES = (0, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768)
_BASE, _NODE, _CALL = 20.0, 0.15, 3.0
_PER_BYTE = 1 / 8
"""Parsing, copying or comparing data; lists of empty lists are the worst."""
_PER_STEP = 1 / 25
"""One byte at one place of a pattern, should its automaton be too large to be made."""
_PER_PAIR = 1 / 100_000
"""Searching one text for another, at worst."""
_SCALAR = 64.0

_PLAIN_PATTERN = re.compile(r"(?:[^\\{(]|\\[^pPCQ]|\((?!\?)){0,100}", re.DOTALL)
"""Patterns whose programs are small: no repeated repetitions, no classes of Unicode, no folded cases."""


class Bound(NamedTuple):
    """Of a value: what making it costs, and its size in bytes of JSON."""

    cost: float
    size: float


class _Node(NamedTuple):
    """`kind` is the field of cel.expr.Expr; `text` a name or a constant text."""

    kind: int
    text: str = ""
    parts: tuple[_Node, ...] = ()


_CONST, _IDENT, _SELECT, _CALLED, _LIST, _STRUCT, _LOOP = 3, 4, 5, 6, 7, 8, 9
_KINDS = range(_CONST, _LOOP + 1)
_NOTHING = _Node(_CONST)


def inline_size(serialized: bytes) -> int:
    """Return how large the data may be for the expression to be evaluated inline; -1 for never."""
    tree = _read(serialized)
    fitting = bisect(_SIZES, INLINE_LIMIT, key=lambda size: _cost(tree, float(size)))
    return _SIZES[fitting - 1] if fitting else -1


def _cost(tree: _Node, size: float) -> float:
    made = _bound(tree, {}, size)
    return _BASE + size * _PER_BYTE + made.cost + made.size * _PER_BYTE


def _bound(node: _Node, scope: dict[str, float], size: float) -> Bound:
    if node.kind == _CONST:
        return Bound(_NODE, 2.0 + len(node.text.encode(errors="replace")))
    if node.kind == _IDENT:
        return Bound(_NODE, scope.get(node.text, size))
    if node.kind == _LOOP:
        return _bound_loop(node.parts, scope, size)
    bounds = [_bound(part, scope, size) for part in node.parts]
    cost = _NODE + sum(bound.cost for bound in bounds)
    if node.kind == _CALLED:
        made = _bound_call(node, [bound.size for bound in bounds])
        return Bound(cost + made.cost, made.size)
    return Bound(cost, sum(bound.size + 2.0 for bound in bounds) + 2.0)


def _bound_loop(parts: Sequence[_Node], scope: dict[str, float], size: float) -> Bound:
    """What the accumulated value adds in each turn is counted without what it was before."""
    over, start, condition, step, result = parts[:5]
    names = [part.text for part in parts[5:]]
    ranged, started = _bound(over, scope, size), _bound(start, scope, size)
    turns = ranged.size / 2 + 1
    inner = scope | dict.fromkeys(names, ranged.size) | {names[0]: 0.0}
    checked, stepped = _bound(condition, inner, size), _bound(step, inner, size)
    grows = step.text not in _LOGIC
    total = started.size + (turns if grows else 1.0) * stepped.size
    ended = _bound(result, scope | {names[0]: total}, size)
    each = _NODE + checked.cost + stepped.cost
    return Bound(ranged.cost + started.cost + turns * each + ended.cost, ended.size)


def _bound_call(node: _Node, sizes: Sequence[float]) -> Bound:
    if node.text == "matches":
        pattern = node.parts[-1] if node.parts else _NOTHING
        if pattern.kind != _CONST or not _PLAIN_PATTERN.fullmatch(pattern.text):
            return Bound(inf, inf)
        length = len(pattern.text)
        return Bound(5.0 * length + sizes[0] * (_PER_BYTE + length * _PER_STEP), _SCALAR)
    rule = _RULES.get(node.text)
    return rule(sizes) if rule else Bound(inf, inf)


Rule = Callable[[Sequence[float]], Bound]


def _at_once(sizes: Sequence[float]) -> Bound:
    return Bound(0.0, _SCALAR)


def _part_of_time(sizes: Sequence[float]) -> Bound:
    """With a time zone (the second argument) its file may have to be read."""
    return Bound(0.0, _SCALAR) if len(sizes) == 1 else Bound(inf, inf)


def _compared(sizes: Sequence[float]) -> Bound:
    """Comparing ends with the shorter one."""
    return Bound(min(sizes) * _PER_BYTE, _SCALAR)


def _scanned(sizes: Sequence[float]) -> Bound:
    return Bound(_CALL + sum(sizes) * _PER_BYTE, _SCALAR)


def _searched(sizes: Sequence[float]) -> Bound:
    return Bound(_CALL + sum(sizes) * _PER_BYTE + sizes[0] * sizes[1] * _PER_PAIR, _SCALAR)


def _one_of(sizes: Sequence[float]) -> Bound:
    return Bound(0.0, sum(sizes))


def _joined_up(sizes: Sequence[float]) -> Bound:
    return Bound(sum(sizes) * _PER_BYTE, sum(sizes) + _SCALAR)


def _copied(sizes: Sequence[float]) -> Bound:
    return Bound(_CALL + sizes[0] * _PER_BYTE, sizes[0] + _SCALAR)


def _quoted(sizes: Sequence[float]) -> Bound:
    return Bound(_CALL + sizes[0] * _PER_BYTE, 6 * sizes[0] + _SCALAR)


def _split(sizes: Sequence[float]) -> Bound:
    searched = sizes[0] * sizes[1] * _PER_PAIR
    return Bound(_CALL + sizes[0] * 3 * _PER_BYTE + searched, 4 * sizes[0] + _SCALAR)


def _replaced(sizes: Sequence[float]) -> Bound:
    made = sizes[0] * (1 + sizes[2]) + sizes[2]
    searched = sizes[0] * sizes[1] * _PER_PAIR
    return Bound(_CALL + (sizes[0] + made) * _PER_BYTE + searched, made)


def _joined(sizes: Sequence[float]) -> Bound:
    made = sizes[0] * (1 + (sizes[1] if len(sizes) > 1 else 0))
    return Bound(_CALL + (sizes[0] + made) * _PER_BYTE, made)


_LOGIC = ("_&&_", "_||_")
_PARTS_OF_TIME = (
    *("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear"),
    *("Hours", "Minutes", "Seconds", "Milliseconds"),
)
_RULES: dict[str, Rule] = {
    **dict.fromkeys(("_&&_", "_||_", "!_", "-_", "@not_strictly_false", "type"), _at_once),
    **dict.fromkeys(("_-_", "_*_", "_/_", "_%_", "bool"), _at_once),
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _compared),
    **dict.fromkeys(("startsWith", "endsWith"), _compared),
    **dict.fromkeys(("size", "int", "uint", "double", "timestamp", "duration"), _scanned),
    **dict.fromkeys(("@in", "checksum"), _scanned),
    **dict.fromkeys(("contains", "indexOf", "lastIndexOf"), _searched),
    **dict.fromkeys(("_?_:_", "_[_]"), _one_of),
    **dict.fromkeys(("string", "bytes", "dyn", "charAt", "substring"), _copied),
    **dict.fromkeys(("lowerAscii", "upperAscii", "trim", "reverse"), _copied),
    **dict.fromkeys((f"get{part}" for part in _PARTS_OF_TIME), _part_of_time),
    "_+_": _joined_up,
    "strings.quote": _quoted,
    "split": _split,
    "replace": _replaced,
    "join": _joined,
}


# The checked form


def _read(serialized: bytes) -> _Node:
    """Read the `expr` of a CheckedExpr that is packed into an Any."""
    for field, packed in _fields(serialized):
        if field == 2 and isinstance(packed, bytes):
            for inner, value in _fields(packed):
                if inner == 4 and isinstance(value, bytes):
                    return _node(value)
    raise ValueError("not a checked expression")


def _node(data: bytes) -> _Node:
    for kind, body in _fields(data):
        if kind in _KINDS and isinstance(body, bytes):
            return _READERS[kind](body)
    return _NOTHING


def _const(body: bytes) -> _Node:
    """Texts (6) and bytes (7) have a size of their own."""
    texts = (value for field, value in _fields(body) if field in (6, 7))
    return _Node(_CONST, _text(next(texts, b"")))


def _ident(body: bytes) -> _Node:
    return _Node(_IDENT, _text(dict(_fields(body)).get(1, b"")))


def _select(body: bytes) -> _Node:
    return _Node(_SELECT, parts=tuple(_parts(body, 1)))


def _call(body: bytes) -> _Node:
    """The target (1) of a method comes before its arguments (3)."""
    parts = (*_parts(body, 1), *_parts(body, 3))
    return _Node(_CALLED, _text(dict(_fields(body)).get(2, b"")), parts)


def _list(body: bytes) -> _Node:
    return _Node(_LIST, parts=tuple(_parts(body, 1)))


def _struct(body: bytes) -> _Node:
    """A map; messages, which have a name (1), are as good as unknown functions."""
    if any(field == 1 for field, _ in _fields(body)):
        return _Node(_CALLED)
    entries = (value for field, value in _fields(body) if field == 2 and isinstance(value, bytes))
    parts = [part for entry in entries for number in (3, 4) for part in _parts(entry, number)]
    return _Node(_STRUCT, parts=tuple(parts))


def _loop(body: bytes) -> _Node:
    """Range, start, condition, step and result, then the names: accumulated (3), of elements (1, 8)."""
    found = dict(_fields(body))
    parts = [next(_parts(body, number), _NOTHING) for number in (2, 4, 5, 6, 7)]
    names = [_Node(_IDENT, _text(found[number])) for number in (3, 1, 8) if number in found]
    return _Node(_LOOP, parts=(*parts, *names))


_READERS: dict[int, Callable[[bytes], _Node]] = {
    _CONST: _const,
    _IDENT: _ident,
    _SELECT: _select,
    _CALLED: _call,
    _LIST: _list,
    _STRUCT: _struct,
    _LOOP: _loop,
}


def _parts(body: bytes, number: int) -> Iterator[_Node]:
    for field, value in _fields(body):
        if field == number and isinstance(value, bytes):
            yield _node(value)


def _text(value: bytes | int) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Read the fields of a protobuf message: its lengths and numbers as they come."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        length = 8 if wire == 1 else 4
        if wire == 2:
            length, at = _varint(data, at)
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
