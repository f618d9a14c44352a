"""Rate limits: what a task claims, and what is left of a key at a moment."""

from __future__ import annotations

import orjson
import pytest

from engine.domain.concurrency import NO_KEYS, Keys
from engine.domain.definition import RateLimit, RegisteredStep, StepDefinition
from engine.domain.rate_limits import (
    LimitClaim,
    LimitState,
    Taken,
    consumed,
    limits_of,
    refusal_of,
    seen_by,
)
from engine.domain.task_keys import with_limits
from engine.ids import new_id
from engine.states import RateLimitWindow

SECOND, MINUTE = RateLimitWindow.SECOND, RateLimitWindow.MINUTE


def keys_for(*limits: RateLimit, data: object = None, before: str | None = None) -> Keys:
    step = RegisteredStep(new_id(), 0, StepDefinition("run", "work:run", rate_limits=limits))
    variables = {"input": orjson.dumps(data or {}), "additional_metadata": b'{"team":"red"}'}
    return with_limits(NO_KEYS, step, variables, before)


def claimed(*limits: RateLimit, data: object = None) -> tuple[LimitClaim, ...]:
    keys = keys_for(*limits, data=data)
    assert keys.error is None
    return limits_of(keys.stored)


def test_a_plain_limit_claims_its_units_and_leaves_the_limit_to_who_set_it() -> None:
    assert claimed(RateLimit("api", units=3)) == (LimitClaim("api", 3),)
    assert claimed(RateLimit("api", limit_expression="-1")) == (LimitClaim("api", 1),)


def test_expressions_replace_the_plain_parts_and_doubles_lose_their_fraction() -> None:
    limit = RateLimit(
        key_expression="input.user + additional_metadata.team",
        units_expression="input.units",
        limit_expression="input.tier * 10.5",
        window=SECOND,
    )
    data = {"user": "ada", "units": 2.9, "tier": 1}
    assert claimed(limit, data=data) == (LimitClaim("adared", 2, 10, SECOND),)


def test_two_limits_that_come_to_one_key_are_one_claim_on_the_stricter_terms() -> None:
    one = RateLimit("api", units=2, limit_expression="9", window=SECOND)
    other = RateLimit(key_expression="'a' + 'pi'", limit_expression="5", window=MINUTE)
    assert claimed(one, other) == (LimitClaim("api", 3, 5, MINUTE),)


@pytest.mark.parametrize(
    ("limit", "data", "problem"),
    [
        (
            RateLimit(key_expression="input.user"),
            {"user": 7},
            "expected string output for rate limit key, got double",
        ),
        (RateLimit(key_expression="input.user"), {}, 'no such key: "user"'),
        (RateLimit(key_expression="input.user"), {"user": " "}, "the rate limit key is blank"),
        (RateLimit(key_expression="input.user"), {"user": "x" * 10_000}, "is longer than 500"),
        (RateLimit(key_expression="'a\\u0000b'"), {}, "contains a null character"),
        (
            RateLimit("k", units_expression="input.n"),
            {"n": "2"},
            "expected int output for rate limit units, got string",
        ),
        (RateLimit("k", units_expression="input.n"), {"n": True}, "got bool"),
        (RateLimit("k", units_expression="input.n"), {"n": -2}, "the units are negative"),
        (RateLimit("k", units_expression="0.0 / input.n"), {"n": 0}, "out of range"),
        (RateLimit("k", limit_expression="input.n"), {"n": 1e300}, "out of range"),
        (RateLimit("k", limit_expression="input.n"), {"n": None}, "got null"),
    ],
)
def test_what_an_expression_must_not_come_to_is_said(
    limit: RateLimit, data: object, problem: str
) -> None:
    keys = keys_for(limit, data=data)
    assert keys.stored is None
    assert keys.error is not None
    assert keys.error.startswith("failed to parse step expression (")
    assert problem in keys.error


def test_what_was_claimed_before_a_replay_is_claimed_again() -> None:
    limit = RateLimit(key_expression="input.user")
    before = keys_for(limit, data={"user": "ada"}).stored
    assert limits_of(keys_for(limit, data={"user": "bob"}, before=before).stored) == (
        LimitClaim("ada", 1),
    )


def test_keys_of_groups_and_rate_limits_are_stored_together() -> None:
    step = RegisteredStep(
        new_id(), 0, StepDefinition("run", "work:run", rate_limits=(RateLimit("api"),))
    )
    both = with_limits(Keys('{"keys":["ada"]}'), step, {})
    assert orjson.loads(both.stored or "") == {
        "keys": ["ada"],
        "rate_limits": [["api", 1, None, 1]],
    }
    assert with_limits(Keys(error="no"), step, {}) == Keys(error="no")


# What is left

STATE = LimitState(limit=5, window=SECOND, value=2, since=100.0)


def test_a_window_is_full_again_when_it_ends_and_not_before() -> None:
    assert STATE.at(100.98) == STATE
    assert STATE.at(100.995) == STATE._replace(value=5, since=100.995)
    assert STATE.at(500.0) == STATE._replace(value=5, since=500.0)


def test_a_claim_is_refused_until_the_window_ends() -> None:
    assert refusal_of(LimitClaim("k", 2), STATE, 100.5) is None
    refusal = refusal_of(LimitClaim("k", 3), STATE, 100.5)
    assert refusal is not None
    assert refusal.until == 101.0
    assert str(refusal) == 'Rate limit "k": 3 wanted, 2 of 5 left in this second.'
    assert refusal_of(LimitClaim("k", 3), STATE, 101.0) is None


def test_nothing_but_a_new_limit_helps_who_wants_more_than_there_ever_is() -> None:
    refusal = refusal_of(LimitClaim("k", 6), STATE, 100.5)
    assert refusal is not None
    assert refusal.until is None


def test_a_limit_nobody_has_set_refuses_and_says_so() -> None:
    refusal = refusal_of(LimitClaim("k", 1), None, 100.0)
    assert refusal is not None
    assert (refusal.state, refusal.until) == (None, None)
    assert str(refusal) == 'Rate limit "k" has not been set.'


def test_a_pause_refuses_even_a_full_window() -> None:
    paused = STATE._replace(paused_until=130.0)
    refusal = refusal_of(LimitClaim("k", 1), paused, 120.0)
    assert refusal is not None
    assert refusal.until == 130.0
    assert "paused" in str(refusal)
    assert refusal_of(LimitClaim("k", 1), paused, 130.0) is None


def test_a_task_brings_its_limit_along() -> None:
    claim = LimitClaim("k", 1, 3, MINUTE)
    assert seen_by(claim, None, 7.0) == LimitState(3, MINUTE, 3, 7.0, is_dynamic=True)


def test_within_a_window_the_lower_limit_and_the_longer_window_hold() -> None:
    state = LimitState(5, SECOND, 4, 100.0, is_dynamic=True)
    assert seen_by(LimitClaim("k", 1, 2, MINUTE), state, 100.5) == state._replace(
        limit=2, window=MINUTE, value=2
    )
    assert seen_by(LimitClaim("k", 1, 9, SECOND), state, 100.5) == state


def test_the_next_window_begins_with_the_settings_of_who_takes_first() -> None:
    state = LimitState(5, SECOND, 0, 100.0, is_dynamic=True)
    found = seen_by(LimitClaim("k", 1, 9, MINUTE), state, 102.0)
    assert found == LimitState(9, MINUTE, 9, 102.0, is_dynamic=True)


def test_units_are_added_up_per_key_and_those_of_an_earlier_window_left_out() -> None:
    def taken(key: str, units: int, since: float) -> Taken:
        return Taken(key, units, since, 9, SECOND, False)

    found = consumed(
        [taken("b", 1, 5.0), taken("a", 2, 4.0), taken("a", 3, 5.0), taken("a", 1, 5.0)]
    )
    assert found == [taken("a", 4, 5.0), taken("b", 1, 5.0)]
