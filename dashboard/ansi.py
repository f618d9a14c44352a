"""Terminal colours in texts that programs print: shown as colours, and whatever else they send left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.html import conditional_escape, format_html_join
from django.utils.safestring import SafeString

_SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]*)m"  # colours
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # what moves the cursor or clears
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and links
    r"|\x1b[@-Z\\-_c]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_LONGEST = 200
"""So much of one sequence is read."""
_COLOURS = (
    (0, 0, 0),
    (205, 49, 49),
    (13, 188, 121),
    (229, 229, 16),
    (36, 114, 200),
    (188, 63, 188),
    (17, 168, 205),
    (229, 229, 229),
)
_ATTRIBUTES: Mapping[int, dict[str, Any]] = {
    1: {"is_bold": True},
    2: {"is_dim": True},
    3: {"is_italic": True},
    4: {"is_underlined": True},
    22: {"is_bold": False, "is_dim": False},
    23: {"is_italic": False},
    24: {"is_underlined": False},
    39: {"colour": None},
    49: {"background": None},
}


@dataclass(frozen=True, slots=True)
class Style:
    """How text is shown; colours are 0 to 7."""

    colour: int | None = None
    background: int | None = None
    is_bold: bool = False
    is_dim: bool = False
    is_italic: bool = False
    is_underlined: bool = False

    @property
    def classes(self) -> str:
        words = [
            "" if self.colour is None else f"ansi-{self.colour}",
            "" if self.background is None else f"ansi-on-{self.background}",
            "ansi-bold" if self.is_bold else "",
            "ansi-dim" if self.is_dim else "",
            "ansi-italic" if self.is_italic else "",
            "ansi-underlined" if self.is_underlined else "",
        ]
        return " ".join(filter(None, words))


_PLAIN = Style()


def plain(text: str) -> str:
    """Return a text without escape sequences and control characters; lines and tabs stay."""
    return _SEQUENCE.sub("", text)


def coloured(text: str) -> SafeString:
    """Return a text as HTML, its colours as classes."""
    return format_html_join(
        "",
        "{}",
        (
            (conditional_escape(part) if not style.classes else _span(part, style),)
            for part, style in _parts(text)
        ),
    )


def _span(text: str, style: Style) -> SafeString:
    return format_html_join("", '<span class="{}">{}</span>', [(style.classes, text)])


def _parts(text: str) -> Iterator[tuple[str, Style]]:
    style, start = _PLAIN, 0
    for match in _SEQUENCE.finditer(text):
        if match.start() > start:
            yield text[start : match.start()], style
        start = match.end()
        if match[1] is not None:
            style = _changed(style, match[1])
    if start < len(text):
        yield text[start:], style


def _changed(style: Style, codes: str) -> Style:
    """Apply one sequence; numbers that mean nothing to us change nothing."""
    given = codes[:_LONGEST].replace(":", ";").split(";")
    numbers = [int(code[:4]) if code else 0 for code in given]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            style = _PLAIN
        elif code in (38, 48):
            name = "colour" if code == 38 else "background"
            shade: dict[str, Any] = {name: _palette(numbers)}
            style = replace(style, **shade)
        elif code in _ATTRIBUTES:
            style = replace(style, **_ATTRIBUTES[code])
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = replace(style, colour=code % 10)
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = replace(style, background=code % 10)
    return style


def _palette(numbers: list[int]) -> int | None:
    """Take an extended colour off the front; return the nearest of ours."""
    kind = numbers.pop(0) if numbers else 0
    size = {5: 1, 2: 3}.get(kind, 0)
    given = numbers[:size]
    del numbers[:size]
    if not size or len(given) < size:
        return None
    if kind == 2:
        return _nearest(given[0], given[1], given[2])
    index = given[0]
    if index < 16:
        return index % 8
    if index < 232:
        cube = index - 16
        return _nearest(cube // 36 * 51, cube // 6 % 6 * 51, cube % 6 * 51)
    grey = (index - 232) * 10 + 8
    return _nearest(grey, grey, grey)


def _nearest(red: int, green: int, blue: int) -> int:
    def distance(index: int) -> int:
        r, g, b = _COLOURS[index]
        return (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2

    return min(range(8), key=distance)
