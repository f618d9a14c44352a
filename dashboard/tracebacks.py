"""Errors as people read them: the application's frames marked, those of libraries folded away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from engine.domain.fingerprints import is_library, path_of

_FEWEST_FOLDED = 2
"""Frames; a single one is not worth a click."""


@dataclass(frozen=True, slots=True)
class Part:
    """Lines that stand together. `kind` is `own`, `library` or `text`; `frames` says how many."""

    kind: str
    text: str
    frames: int = 0

    @property
    def is_folded(self) -> bool:
        return self.kind == "library" and self.frames >= _FEWEST_FOLDED


def parts_of(error: str) -> list[Part]:
    """Split an error into parts; put together again they are the error."""
    lines = [*_kinds(error.splitlines(keepends=True))]
    parts = []
    for kind, group in groupby(lines, key=lambda item: item[0]):
        listed = list(group)
        frames = sum(is_frame for _, _, is_frame in listed)
        parts.append(Part(kind, "".join(line for _, line, _ in listed), frames))
    return parts


def _kinds(lines: list[str]) -> Iterator[tuple[str, str, bool]]:
    """Each line with its kind: what is indented after a frame belongs to it, and so do blank lines."""
    kind = "text"
    for line in lines:
        path = path_of(line.rstrip("\r\n")[:1_000])
        if path:
            kind = "library" if is_library(path) else "own"
        elif line.strip() and not line[0].isspace():
            kind = "text"
        yield kind, line, bool(path)
