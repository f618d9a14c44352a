"""Terminal colours become classes; all else that terminals understand is left out."""

from __future__ import annotations

import pytest

from dashboard.ansi import coloured, plain

RED, RESET = "\x1b[31m", "\x1b[0m"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain <b>", "plain &lt;b&gt;"),
        (f"{RED}bad{RESET} good", '<span class="ansi-1">bad</span> good'),
        ("\x1b[1;92mok", '<span class="ansi-2 ansi-bold">ok</span>'),
        ("\x1b[1m\x1b[22mthin", "thin"),
        ("\x1b[38;5;196mred", '<span class="ansi-1">red</span>'),
        ("\x1b[38;2;10;110;210mblue", '<span class="ansi-4">blue</span>'),
        ("\x1b[48;5;2;4mon", '<span class="ansi-on-2 ansi-underlined">on</span>'),
        ("\x1b[38;5mcut off", "cut off"),
        ("\x1b[999999999999999999999mhuge", "huge"),
        ("\x1b[2K\x1b[1Gprogress\r", "progress"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        (f"{RED}<script>", '<span class="ansi-1">&lt;script&gt;</span>'),
        ("a\x00b\x1bc\x9bd\ne\tf", "abd\ne\tf"),
        ("", ""),
    ],
)
def test_colours_are_classes_and_the_rest_is_text(text: str, html: str) -> None:
    assert coloured(text) == html


def test_plain_text_has_neither_colours_nor_controls() -> None:
    assert plain(f"{RED}bad{RESET}\x1b[2K\x07 good\n") == "bad good\n"
