"""Expressions as users write them: what they come to, what is refused, and what cannot hurt us."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.cel.answers import Evaluated, Question
from engine.domain.cel.expressions import (
    MAX_EXPRESSION_LENGTH,
    Environment,
    compile_expression,
)
from engine.errors import InvalidArgument
from engine.ids import new_id
from engine.sandbox.evaluator import Evaluator
from engine.sandbox.pool import settled

INPUT = {
    "n": 1,
    "price": 9.5,
    "three": 3.0,
    "text": "a,b",
    "name": "Ünal",
    "tags": ["x", "y"],
    "items": [{"sku": "A", "count": 2}, {"sku": "B", "count": 0}],
    "nested": {"deep": {"er": "yes"}},
    "nothing": None,
    "yes": True,
    "huge": 10**30,
    "with-dash": 1,
}
VARIABLES: dict[str, bytes | str] = {
    "input": orjson.dumps({k: v for k, v in INPUT.items() if k != "huge"})[:-1]
    + b',"huge":1000000000000000000000000000000}',
    "payload": b'{"limit": 5, "team": "a"}',
    "additional_metadata": b'{"tenant": "acme"}',
    "event_id": "018f",
    "event_key": "order:paid",
}


def come_to(expression: str, environment: Environment = Environment.FILTER) -> Evaluated:
    return evaluate(expression, VARIABLES, environment)


def evaluate(
    expression: str,
    variables: dict[str, bytes | str],
    environment: Environment = Environment.FILTER,
) -> Evaluated:
    """Evaluate as those do who may wait for a costly expression."""
    return settled(
        new_id(),
        lambda: compile_expression(expression, environment, "expression").evaluate(variables),
    )


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("true", True),
        ("input.n == 1", True),
        ("input.n == 1.0", True),
        ("input.n >= payload.limit", False),
        ("input.price > 9", True),
        ("input.price < 9.6 && payload.team == 'a'", True),
        ("input.three == 3", True),
        ("string(input.three)", "3"),
        ("string(input.price)", "9.5"),
        ("int(input.n) % 2 == 1", True),
        ("input.huge > 1", True),
        ("has(input.missing)", False),
        ("has(input.nested.deep) && input.nested.deep.er == 'yes'", True),
        ("input.missing == 1 || true", True),
        ("input.missing == 1 && false", False),
        ("'n' in input", True),
        ("input['with-dash'] == 1", True),
        ("input.nothing == null", True),
        ("input.yes", True),
        ("input.yes ? 'a' : 'b'", "a"),
        ("additional_metadata.tenant == 'acme'", True),
        ("event_key.startsWith('order:')", True),
        ("event_id == '018f'", True),
        ("input.tags.exists(t, t == 'y')", True),
        ("input.items.all(i, i.count > 0)", False),
        ("input.items.filter(i, i.count > 0).size() == 1", True),
        ("size(input.tags) > input.n", True),
        ("input.tags[0] in ['x', 'z']", True),
        ("input.text.matches('^a.*')", True),
        ("input.text.contains(',') && input.text.endsWith('b')", True),
        ("input.text.split(',')[1]", "b"),
        ("input.text.split(',', 1)", ["a,b"]),
        ("'abc'.split('')", ["a", "b", "c"]),
        ("input.tags.join('-')", "x-y"),
        ("input.tags.join()", "xy"),
        ("input.name.upperAscii()", "ÜNAL"),
        ("'ÄB'.lowerAscii()", "Äb"),
        ("input.name.charAt(0)", "Ü"),
        ("input.text.indexOf('b')", 2),
        ("input.text.indexOf('q')", -1),
        ("'abab'.lastIndexOf('ab')", 2),
        ("'abab'.lastIndexOf('ab', 1)", 0),
        ("input.text.substring(1)", ",b"),
        ("input.text.substring(0, 1)", "a"),
        ("'  a '.trim()", "a"),
        ("'abc'.reverse()", "cba"),
        ("'aaa'.replace('a', 'b', 2)", "bba"),
        ("'aaa'.replace('a', 'b')", "bbb"),
        ("strings.quote('a\"b')", '"a\\"b"'),
        (
            "checksum('abc')",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        ("timestamp('2026-01-01T00:00:00Z') < timestamp('2026-01-02T00:00:00Z')", True),
        ("duration('1h') > duration('59m')", True),
    ],
)
def test_what_users_write(expression: str, value: Any) -> None:
    assert come_to(expression) == Evaluated(value)


def test_keys_of_runs_know_the_run() -> None:
    program = compile_expression("workflow_run_id + input.n", Environment.KEY, "expression")
    assert program.evaluate({"workflow_run_id": "r", "input": b'{"n":"1"}'}) == Evaluated("r1")
    with pytest.raises(InvalidArgument, match="undeclared reference to 'payload"):
        compile_expression("payload.a", Environment.KEY, "expression")


def test_conditions_read_the_output_of_a_parent() -> None:
    program = compile_expression("output.random > 50", Environment.CONDITION, "expression", bool)
    assert program.evaluate({"output": b'{"random": 51}'}) == Evaluated(value=True)


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("input.missing == 1", 'no such key: "missing"'),
        ("input.n.x == 1", "SELECT"),
        ("input.n % 2 == 1", "No matching overloads found"),
        ("1 / 0 == 1", "divide by zero"),
        ("input.tags.join() == 1 || input.items.join() == 'x'", "found no matching overload"),
        ("input.items.join() == 'x'", "join: the list holds something other than strings"),
        ("'a'.charAt(2) == ''", "index out of range: 2"),
        ("input.tags[9] == ''", "index=9 size=2"),
    ],
)
def test_what_fails_on_this_input_is_said(expression: str, error: str) -> None:
    try:
        found = come_to(expression).error or ""
    except InvalidArgument as refused:
        found = str(refused)
    assert error in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("", "expression is blank"),
        ("  \n", "expression is blank"),
        ("1 +", "expression: line 1, column 4: Syntax error"),
        ("true &&\n nope", "expression: line 2, column 2: undeclared reference to 'nope'"),
        ("input.n = 1", "expression: line 1, column 9: Syntax error"),
        ("'a' == 1", "expression: line 1, column 5: found no matching overload"),
        ("checksum(1)", "expression: line 1, column 9: found no matching overload"),
        ("'\0'", "expression contains a null character"),
        ("'\ud800'", "expression: "),
        ("x" * (MAX_EXPRESSION_LENGTH + 1), "expression is longer than"),
        ("(" * 3000 + "1" + ")" * 3000, "expression: Expression recursion limit exceeded"),
        ("[" * 300 + "1" + "]" * 300, "expression: Expression recursion limit exceeded"),
        ("1" + "+1" * 3000, "expression: "),
    ],
)
def test_what_does_not_compile_is_refused_in_one_line(expression: str, error: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        come_to(expression)
    assert str(refused.value).startswith(error)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "expression", "is_right"),
    [
        (bool, "input.n == 1", True),
        (bool, "input.n", True),
        (bool, "'text'", False),
        (str, "input.n", True),
        (str, "'text' + input.n", True),
        (str, "1", False),
        (int, "1", True),
        (int, "input.n == 1", False),
    ],
)
def test_a_result_that_cannot_be_right_is_refused(
    wanted: type, expression: str, is_right: bool
) -> None:
    if is_right:
        compile_expression(expression, Environment.KEY, "expression", wanted)
    else:
        with pytest.raises(InvalidArgument, match="must come to a"):
            compile_expression(expression, Environment.KEY, "expression", wanted)


def filter_on(expression: str, **values: Any) -> Evaluated:
    return evaluate(expression, {"input": orjson.dumps(values)})


def nested_doubling(depth: int) -> str:
    expression = "input.s"
    for level in range(depth):
        expression = f"[{expression}].map(a{level}, a{level} + a{level})[0]"
    return f"{expression}.size() > 0"


@pytest.mark.parametrize(
    ("expression", "values", "error"),
    [
        ("input.s.replace('x', input.s) == ''", {"s": "x" * 1_000_000}, "builds too much text"),
        ("input.l.join(input.s) == ''", {"l": ["x"] * 9_999, "s": "x" * 99_999}, "builds too much"),
    ],
)
def test_an_expression_that_would_eat_the_memory_is_not_begun(
    expression: str, values: dict[str, Any], error: str
) -> None:
    assert error in (filter_on(expression, **values).error or "")


@pytest.mark.parametrize(
    ("expression", "values", "error"),
    [
        (nested_doubling(8), {"s": "x" * 2_000_000}, "needed too much memory"),
        ("input.l.map(a, input.l.map(b, a)) == []", {"l": [1] * 1000}, "Iteration budget"),
    ],
)
def test_an_expression_cannot_eat_the_memory(
    expression: str, values: dict[str, Any], error: str
) -> None:
    """Given all the time it may want, as a slow machine needs more than it gets."""
    evaluator = Evaluator(item_seconds=600)
    try:
        turn = evaluator.take_turn([Question(expression, "FILTER", (orjson.dumps(values),))])
    finally:
        evaluator.stop()
    assert error in (turn.answers[0].error or "")


def test_a_large_event_can_be_filtered() -> None:
    assert filter_on("input.kind == 'a'", kind="a", s="x" * 3_900_000) == Evaluated(value=True)


def test_deep_data_is_an_error_or_an_answer_but_never_an_exception() -> None:
    for depth in (500, 100_000):
        found = evaluate("has(input.a)", {"input": b'{"a":' * depth + b"1" + b"}" * depth})
        assert found.value is True or found.error


# NUL never gets this far: every payload that holds one is refused.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


@given(st.text(max_size=40) | st.from_regex(r"input\.[a-c]{1,2} ?[=<>+%]{1,2} ?[0-9'\"]{1,3}"))
def test_any_text_is_refused_or_evaluated(expression: str) -> None:
    with suppress(InvalidArgument):
        evaluate(expression, {"input": b'{"a":1}'})


@given(json_values)
def test_any_value_equals_itself(value: Any) -> None:
    data = orjson.dumps({"a": value}, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    program = compile_expression("input.a == input.a", Environment.FILTER, "expression")
    assert program.evaluate({"input": data}) == Evaluated(value=True)
