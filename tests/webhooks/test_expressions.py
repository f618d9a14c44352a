"""Expressions are given what they name and no more, and everything where that cannot be told."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.domain.cel.expressions import Environment, compile_expression
from webhooks.expressions import Data, named_in


@pytest.mark.parametrize(
    ("expression", "names", "headers"),
    [
        ("'a:' + input.type", {"type"}, set()),
        ("input.event.type + input . b", {"event.type", "b"}, set()),
        ("input.a.b.size() + input . c . d[0]", {"a.b", "c.d"}, set()),
        ("'github:' + headers['x-a'] + headers[ \"x-b\" ]", set(), {"x-a", "x-b"}),
        ("(has(input.action) ? ':' + input.action : '')", {"action"}, set()),
        ("headers.host + input.a.input", {"a.input"}, {"host"}),
        ("'input' + 'headers.x'", set(), set()),
        ("input['type']", None, set()),
        ("'type' in input ? 'a' : 'b'", None, set()),
        ("string(size(input))", None, set()),
        ("input.size() > 1 ? 'a' : 'b'", None, set()),
        ("['a'].map(input, input)[0]", None, set()),
        ("{'a': input}['a'].type", None, set()),
        ("headers[input.name]", {"name"}, None),
        ("headers.exists(h, h == 'x') ? 'a' : 'b'", set(), None),
        ("'it\\'s' + input.type", None, None),
        ("r'a' + input.type", None, None),
        (".input.type", None, None),
        ("'a' in .input ? 'a' : 'b'", None, None),
        ('"headers[\'" + input.type + "\']"', {"type"}, set()),
        ("'''a''' + input.type", None, None),
    ],
)
def test_what_an_expression_names(
    expression: str, names: set[str] | None, headers: set[str] | None
) -> None:
    named = named_in(expression)
    assert [paths and {".".join(path) for path in paths} for paths in named] == [
        names and frozenset(names),
        headers and frozenset(headers),
    ]


VALUE = {
    "type": "t",
    "event": {"type": "e", "event": {"type": "inner"}, "list": []},
    "input": "i",
    "headers": {"host": "no"},
    "n": 3,
    "none": None,
    "list": ["a"],
}
HEADERS = {"host": "h", "x-kind": "k", "type": "w"}
WORDS = st.lists(
    st.sampled_from(
        [
            *(
                "input",
                "headers",
                ".type",
                ".event",
                ".input",
                ".headers",
                "['x-kind']",
                "['type']",
            ),
            *(
                " + ",
                "'input.type'",
                '"headers"',
                "has(input.event)",
                " ? ",
                " : ",
                "(",
                ")",
                "[0]",
            ),
            *(
                ".map(input, ",
                "string(",
                " in ",
                "{",
                "}",
                ", ",
                "size(",
                "'\\''",
                "r'a'",
                " ",
                "\n",
            ),
        ]
    ),
    max_size=9,
)


@example(["string(", "size(", "input", ".event", "))", " + ", "input", ".event", ".type"])
@example(
    ["input", ".event", ".event", ".type", " + ", "string(", "size(", "input.event", ".event", "))"]
)
@given(WORDS)
def test_an_expression_comes_to_the_same_as_with_everything(words: list[str]) -> None:
    expression = "".join(words)
    try:
        program = compile_expression(expression, Environment.WEBHOOK, "it")
    except Exception:  # noqa: BLE001  (whatever is no expression has no value)
        return
    text = orjson.dumps(VALUE)
    whole = program.evaluate({"input": text, "headers": orjson.dumps(HEADERS)})
    narrow = program.evaluate(Data(text, VALUE, HEADERS).variables(expression))
    assert narrow == whole


@pytest.mark.parametrize(
    "expression",
    [
        "'github:' + headers['x-github-event'] + (has(input.action) ? ':' + input.action : '')",
        "'stripe:' + input.type",
        "input.pull.base.ref",
    ],
)
def test_a_large_payload_does_not_make_a_small_expression_costly(expression: str) -> None:
    long = "x" * 1_000_000
    value = {"action": "a", "type": "t", "rest": long, "pull": {"base": {"ref": "r"}, "rest": long}}
    headers = {"x-github-event": "e", "cookie": "x" * 10_000}
    variables = Data(b"{}", value, headers).variables(expression)
    assert sum(map(len, variables.values())) < 100
