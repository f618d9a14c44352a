"""Which failures are the same: by their type, what they say without what changes, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

_HEAD, _TAIL = 16_384, 16_384
"""So much of a long error is looked at: its header, and the end of its traceback."""
LONGEST_TYPE, LONGEST_MESSAGE, LONGEST_FRAME = 120, 300, 160
_LONGEST_LINE = 1_000
_REMEMBERED = 8_192
"""Longer errors are not worth keeping for the next one that is equal."""

_TYPE = re.compile(r"([A-Za-z_][\w.]{0,119}(?::::?[\w.]{1,100})?): (.*)")
_BARE_TYPE = re.compile(r"[A-Za-z_][\w.]{0,119}(?:Error|Exception|Warning|Interrupt|Exit|Timeout)")
_PYTHON_FRAME = re.compile(r'\s*File "([^"]+)", line \d+, in (.+)')
_JS_FRAME = re.compile(r"\s+at (?:(?:async )?(\S[^()]{0,200}?) \()?([^()\s]+):\d+:\d+\)?$")
_GO_FRAME = re.compile(r"\s+(\S+\.go):\d+(?: \+0x[0-9a-f]+)?$")
_LIBRARY = (
    "site-packages",
    "dist-packages",
    "/lib/python",
    "/hatchet_sdk/",
    "<frozen ",
    "<string>",
    "node_modules",
    "node:",
    "/pkg/mod/",
    "/usr/local/go/",
    "/usr/lib/",
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LITERALS = (
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s'\"<>]+"), "<url>"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}"), "<email>"),
    (
        re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
        "<id>",
    ),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?[\d.,]*(?:Z|[+-]\d\d:?\d\d)?)?"),
        "<time>",
    ),
    (re.compile(r"(?<![\w<])(?:[A-Za-z]:)?(?:[/\\][\w.@+-]{1,200}){2,}[/\\]?"), "<path>"),
)
_TOKEN = re.compile(r"<(?:url|email|id|time|path)>|[A-Za-z0-9]+")
_NUMBERS = re.compile(r"[-+]?<n>(?:[.,:]<n>)*")
_LISTS = re.compile(r"(<n>|<id>)(?:, ?\1)+")
_SPACE = re.compile(r"\s+")


class Fingerprint(NamedTuple):
    """`digest` is that of all the rest, and of the action. Texts are cut; any may be empty."""

    digest: bytes
    type: str
    message: str
    frame: str


def fingerprint_of(error: str, action_id: str) -> Fingerprint:
    """Return what failures that are the same have in common; any text will do."""
    if len(error) <= _REMEMBERED:
        return _remembered(error, action_id)
    return _fingerprint(error, action_id)


def _fingerprint(error: str, action_id: str) -> Fingerprint:
    if len(error) > _HEAD + _TAIL:
        error = f"{error[:_HEAD]}\n{error[-_TAIL:]}"
    lines = [
        line[:_LONGEST_LINE] for line in _COLOURS.sub("", error).replace("\0", "").splitlines()
    ]
    kind, said = _header(lines)
    message, frame = normalised(said), _frame(lines)[:LONGEST_FRAME]
    text = "\0".join((action_id, kind, message, frame))
    digest = blake2b(text.encode(errors="replace"), digest_size=16).digest()
    return Fingerprint(digest, kind, message, frame)


_remembered = lru_cache(maxsize=2_000)(_fingerprint)


def _header(lines: list[str]) -> tuple[str, str]:
    """Return type and message: those of the first line, or of what a Python traceback ends with."""
    spoken = [line for line in lines if line.strip()]
    if not spoken:
        return "", ""
    if spoken[0].startswith("Traceback "):
        ends = [line for line in spoken if not line[0].isspace() and _is_header(line)]
        return _split(ends[-1] if ends else spoken[-1])
    return _split(spoken[0])


def _is_header(line: str) -> bool:
    return bool(_TYPE.match(line) or _BARE_TYPE.fullmatch(line))


def _split(line: str) -> tuple[str, str]:
    found = _TYPE.match(line)
    if found:
        return found[1][:LONGEST_TYPE], found[2].rstrip("\\")
    if _BARE_TYPE.fullmatch(line.strip()):
        return line.strip()[:LONGEST_TYPE], ""
    return "", line


def normalised(message: str) -> str:
    """Take numbers, ids, addresses, times and paths out of a message."""
    text = message[: 4 * LONGEST_MESSAGE]
    for pattern, word in _LITERALS:
        text = pattern.sub(word, text)
    text = _TOKEN.sub(lambda found: _token(found[0]), text)
    text = _LISTS.sub(r"\1, …", _NUMBERS.sub("<n>", text))
    return _SPACE.sub(" ", text).strip()[:LONGEST_MESSAGE]


def _token(word: str) -> str:
    if word.startswith("<") or not any(letter.isdigit() for letter in word):
        return word
    if word.isdigit():
        return "<n>"
    is_hex = all(letter in "0123456789abcdefABCDEF" for letter in word)
    changes = sum(a.isdigit() != b.isdigit() for a, b in pairwise(word))
    if (is_hex and len(word) >= 7) or changes >= 3 or word[:2] in ("0x", "0X"):
        return "<id>"
    return re.sub(r"\d+", "<n>", word)


def is_library(path: str) -> bool:
    """Whether a file of a traceback belongs to no application, by its path."""
    return any(mark in path.replace("\\", "/") for mark in _LIBRARY)


def path_of(line: str) -> str:
    """Return the file that a line of a traceback names as a frame; nothing if it is no such line."""
    for pattern, place in ((_PYTHON_FRAME, 1), (_JS_FRAME, 2), (_GO_FRAME, 1)):
        if found := pattern.match(line):
            return found[place]
    return ""


def _frame(lines: list[str]) -> str:
    """Return the innermost frame of the application; of anything if there is none."""
    python = [found for line in lines if (found := _PYTHON_FRAME.match(line))]
    if python:
        frames = [(found[1], found[2].strip()) for found in reversed(python)]
        return _first_own(frames)
    return _first_own(list(_other_frames(lines)))


def _other_frames(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The innermost comes first in the tracebacks of other languages."""
    for line in lines:
        if found := _JS_FRAME.match(line):
            yield found[2], (found[1] or "").strip()
        elif found := _GO_FRAME.match(line):
            yield found[1], ""


def _first_own(frames: list[tuple[str, str]]) -> str:
    own = [frame for frame in frames if not is_library(frame[0])]
    for path, function in (own or frames)[:1]:
        short = "/".join(path.replace("\\", "/").split("/")[-2:])
        return f"{short} in {function}" if function else short
    return ""
