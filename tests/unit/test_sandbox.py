"""Costly expressions are evaluated in processes of their own: what one does there hurts only itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.cel.answers import Answers, Evaluated, Question
from engine.domain.cel.expressions import Environment, compile_expression, try_filter
from engine.errors import InvalidArgument, ResourceExhausted
from engine.ids import new_id
from engine.sandbox import evaluator as evaluators
from engine.sandbox import pool
from engine.sandbox.evaluator import BROKEN_OFF, TOO_MUCH_TIME, Evaluator, Turn
from engine.sandbox.pool import settled
from engine.sandbox.turns import MOST_WAITING_BYTES, TURN_QUESTIONS, Job, Turns

NESTED = "input.l.map(a, input.l.map(b, a)).size() == {}"
SLOW = "input.s.matches(input.p)"
SLOW_INPUT = orjson.dumps({"p": "(x*|y)*" * 4_000, "s": "x" * 30_000})
INPUT = orjson.dumps({"l": [1.0] * 40})


def question(expression: str, given: bytes = INPUT) -> Question:
    return Question(expression, "FILTER", (given,) if "input" in expression else ())


def ask(*questions: Question, tenant_id: UUID | None = None) -> list[Evaluated]:
    answers = Answers()
    answers.asked = dict.fromkeys(questions, tenant_id or new_id())
    pool.answer(answers)
    return [answers.known[asked] for asked in questions]


@pytest.mark.parametrize(
    ("expression", "given"),
    [
        (SLOW, SLOW_INPUT),
        ("input.l.all(a, checksum(input.s + input.s) != '')", {"l": [1] * 9000, "s": "x" * 99_999}),
        ("input.l.map(a, input.s.lowerAscii()).size() > 0", {"l": [1] * 9000, "s": "x" * 9_999}),
        (
            "input.l.map(a, string(bytes(input.s))).size() > 0",
            {"l": [1] * 9000, "s": "x" * 200_000},
        ),
        ("input.s.split('').all(a, input.s.indexOf('yz') == -1)", {"s": "x" * 100_000}),
        (
            "input.l.map(a,input.l.map(b,input.l.map(c,[a,b,c]))).size()>0",
            {"l": list(range(2000))},
        ),
    ],
)
def test_what_takes_too_much_fails_alone(expression: str, given: object) -> None:
    data = given if isinstance(given, bytes) else orjson.dumps(given)
    before, hostile, after = ask(
        question(NESTED.format(40)), question(expression, data), question(NESTED.format(41))
    )
    assert (before, after) == (Evaluated(value=True), Evaluated(value=False))
    assert hostile.error is not None
    assert hostile.error.startswith(("the expression ", "the evaluation broke off", "Iteration"))


def test_a_crash_fails_one_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    crashes, take_turn = [True], Evaluator.take_turn

    def crash_or_take(evaluator: Evaluator, questions: Sequence[Question]) -> Turn:
        if crashes:
            crashes.pop()
            os.kill(evaluator._process.pid, signal.SIGSEGV)
        return take_turn(evaluator, questions)

    monkeypatch.setattr(Evaluator, "take_turn", crash_or_take)
    broken, good = ask(question(NESTED.format(40)), question(NESTED.format(1600)))
    assert broken == Evaluated(error=BROKEN_OFF)
    assert good == Evaluated(value=False)


def test_one_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluators, "PATIENCE_SECONDS", 0.2)
    evaluator = Evaluator()
    try:
        os.kill(evaluator._process.pid, signal.SIGSTOP)
        assert evaluator.take_turn([question("true")]).answers == [Evaluated(error=TOO_MUCH_TIME)]
        assert not evaluator.is_usable
    finally:
        evaluator.stop()


def test_it_knows_no_secrets() -> None:
    evaluator = Evaluator()
    try:
        assert evaluator.take_turn([question("true")]).answers == [Evaluated(value=True)]
        environment = Path(f"/proc/{evaluator._process.pid}/environ").read_text()
    finally:
        evaluator.stop()
    names = {pair.split("=")[0] for pair in environment.split("\0") if pair}
    assert names <= {"PYTHONDONTWRITEBYTECODE", "LC_CTYPE"}


def test_values_are_the_same_there() -> None:
    """Numbers, texts and truth as they are; of everything else it is told what it is."""
    found = ask(
        question("1"),
        question("1.5"),
        question("'a\U0001f600'"),
        question("null"),
        question("input"),
    )
    assert [answer.value for answer in found[:4]] == [1, 1.5, "a\U0001f600", None]
    assert repr(found[4].value) == repr({"l": [1.0] * 40})[:500]
    assert "more than 65536 characters" in (
        ask(question("input.s", orjson.dumps({"s": "x" * 70_000})))[0].error or ""
    )


async def test_a_caller_that_goes_away_is_no_harm() -> None:
    answers = Answers(new_id())
    answers.asked[question(NESTED.format(40))] = answers.tenant_id
    task = asyncio.ensure_future(pool.answer_async(answers))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await pool.answer_async(answers)
    assert [*answers.known.values()] == [Evaluated(value=True)]


def test_a_web_process_keeps_threads_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, other, third = new_id(), new_id(), new_id()
    monkeypatch.setattr(pool.sandbox, "_most_callers", (2, 3))
    with pool.sandbox.calling([busy]), pool.sandbox.calling([busy]):
        with pytest.raises(ResourceExhausted):
            ask(question("true"), tenant_id=busy)
        with pool.sandbox.calling([other]), pytest.raises(ResourceExhausted):
            ask(question("true"), tenant_id=third)
        assert ask(question("true"), tenant_id=third) == [Evaluated(value=True)]
    assert ask(question("true"), tenant_id=busy) == [Evaluated(value=True)]


def test_what_takes_too_long_together_is_not_asked_further() -> None:
    job = Job(new_id(), [question("1"), question("2"), question("3")], seconds=1.0)
    job.take([Evaluated(1)], 1.5)
    job.finish()
    found = job.answered.result()
    assert found[question("1")] == Evaluated(1)
    assert "took longer than 1 s together" in (found[question("3")].error or "")


def test_tenants_take_turns() -> None:
    """One process serves a tenant at a time, and nobody waits for more than one turn of each other."""
    many, few, turns = new_id(), new_id(), Turns()
    for _ in range(3):
        turns.add(Job(many, [question(str(n)) for n in range(TURN_QUESTIONS + 1)], 1.0))
    served = turns.next()
    assert served is not None
    turns.add(Job(few, [question("1")], 1.0))
    other = turns.next()
    assert other is not None
    assert (served.tenant_id, other.tenant_id) == (many, few)
    assert turns.next() is None
    served.take([Evaluated(1)] * len(served.turn()), 0.1)
    turns.resume(served)
    turns.add(Job(few, [question("2")], 1.0))
    again = turns.next()
    assert again is served
    assert len(again) == 1
    turns.resume(other)
    following = turns.next()
    assert following is not None
    assert following.tenant_id == few


def test_what_is_too_much_of_one_tenant_is_refused_whole() -> None:
    tenant_id, turns = new_id(), Turns()
    large = b"x" * (MOST_WAITING_BYTES // 2 + 1)
    jobs = [Job(tenant_id, [question("input", large)], 1.0) for _ in range(2)]
    others = Job(new_id(), [question("input", large)], 1.0)
    for job in (*jobs, others):
        turns.add(job)
    assert isinstance(jobs[1].answered.exception(timeout=0), ResourceExhausted)
    assert turns.next() is jobs[0]
    assert turns.next() is others
    jobs[0].take([Evaluated(1)], 0.1)
    turns.resume(jobs[0])
    again = Job(tenant_id, [question("input", large)], 1.0)
    turns.add(again)
    assert turns.next() is again


def test_long_expressions_are_compiled_elsewhere() -> None:
    long = "input.n == 1 || " * 90 + "false"
    found = settled(new_id(), lambda: try_filter(long, {"input": b'{"n":1}'}))
    assert found == Evaluated(value=True)
    for wrong, error in (
        (f"{long} || nope", "undeclared reference to 'nope'"),
        (f"'{long}'", "bool"),
    ):
        with pytest.raises(InvalidArgument, match=error):
            settled(
                new_id(),
                lambda: compile_expression(wrong, Environment.FILTER, "expression", bool),  # noqa: B023
            )


def test_many_at_once_are_not_all_evaluated_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """What costs little each costs much together: from some point on it is asked elsewhere."""
    monkeypatch.setattr("engine.domain.cel.answers.INLINE_SECONDS", 0.0)
    before = pool.sandbox.counts["answered"]
    found = settled(
        new_id(),
        lambda: [try_filter(f"input.n > {n}.0", {"input": b'{"n":2}'}) for n in range(100)],
    )
    assert [answer.value for answer in found] == [n < 2 for n in range(100)]
    assert pool.sandbox.counts["answered"] >= before + 100


def test_too_many_expressions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.domain.cel.answers.INLINE_SECONDS", 0.0)
    monkeypatch.setattr("engine.domain.cel.answers.MOST_ASKED", 50)
    monkeypatch.setattr("engine.domain.cel.answers.MOST_EXPRESSIONS", 200)
    program = compile_expression("input.n", Environment.FILTER, "expression")

    def evaluate(count: int) -> list[Evaluated]:
        return [program.evaluate({"input": b'{"n":%d}' % n}) for n in range(count)]

    assert settled(new_id(), lambda: evaluate(200)) == [Evaluated(float(n)) for n in range(200)]
    with pytest.raises(ResourceExhausted, match="more than 200 expressions"):
        settled(new_id(), lambda: evaluate(201))


TEXTS = st.sampled_from(["input.s", "'ab'", "input.l[0]", "event_key", "string(input.n)"])
LISTS = st.sampled_from(["input.l", "[1, 2]", "input.s.split('')", "input.m.map(k, k)"])


def _grow_text(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    unary = st.sampled_from(
        [
            "({0} + {0})",
            "string(bytes({0}))",
            "checksum({0})",
            "{0}.lowerAscii()",
            "{0}.reverse()",
            "strings.quote({0})",
            "{0}.replace('', {0})",
            "{0}.split('').join({0})",
            "input.l.map(x, {0}).map(y, y + {0}).join('')",
            "({0}.matches({0}) ? {0} : 'no')",
            "input.l.filter(x, {0}.contains({0}))[0]",
            "[{0}, {0}, {0}].map(z, [z, z])[0][0]",
        ]
    )
    return st.builds(lambda form, text: form.format(text), unary, inner)


HOSTILE_TEXTS = st.recursive(TEXTS, _grow_text, max_leaves=6)
HOSTILE = st.builds(
    lambda texts, inner, form: form.format(texts, inner),
    LISTS,
    HOSTILE_TEXTS,
    st.sampled_from(
        ["{0}.all(q, {1} != '')", "{0}.map(q, {1}).size() > 0", "{1} == '' || {0} == []"]
    ),
)
DATA = st.sampled_from(
    [
        {"s": "x", "l": ["a"], "n": 1, "m": {}},
        {"s": "(x*)*" * 400, "l": ["y" * 50] * 200, "n": 1, "m": {"k": "v"}},
        {"s": "\x01" * 30_000, "l": [[[]]] * 50, "n": 1e300, "m": {str(n): n for n in range(300)}},
    ]
)


@settings(max_examples=40, deadline=None)
@given(HOSTILE, DATA)
def test_whatever_it_is_there_is_an_answer(expression: str, data: object) -> None:
    variables: dict[str, bytes | str] = {"input": orjson.dumps(data), "event_key": "(a+)+"}
    found = settled(new_id(), lambda: try_filter(expression, variables))
    assert (found.error is None) == isinstance(found.value, bool)
