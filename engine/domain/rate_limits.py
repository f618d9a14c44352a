"""Rate limits: how many units of a key tasks may take within a window of time.

A window is fixed: it begins when units are taken after the one before it ended, with all units there.
What a task takes is decided when it is created; when it takes it, the scheduler decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from engine.domain.cel.expressions import Environment, Variables, compile_expression, kind_of
from engine.domain.definition import RateLimit, StepDefinition
from engine.states import RateLimitWindow

MAX_KEY_LENGTH = 500
MAX_UNITS = 2**31 - 1
IDLE_SECONDS = 86_400.0
"""How long after its window's end a limit that tasks brought along is forgotten."""
TOLERANCE_SECONDS = 0.01
"""A window may end this much early: an alarm set for its end must not come in vain."""

FORM_KEY = "rate_limits"
"""Under which the keys that a task's row stores hold its claims."""

_MARK = f'"{FORM_KEY}":'
_WHOLE_NUMBER = re.compile(r"\s*(-?\d{1,18})\s*", re.ASCII)


class LimitClaim(NamedTuple):
    """That an attempt takes units of a key; `limit` None leaves the limit to whoever set it."""

    key: str
    units: int
    limit: int | None = None
    window: RateLimitWindow = RateLimitWindow.MINUTE


LimitClaims = tuple[LimitClaim, ...]


class LimitState(NamedTuple):
    """A key's units in the window that began at `since`, in seconds since the epoch.

    `is_dynamic` tells a limit that tasks brought along from one that clients set.
    """

    limit: int
    window: RateLimitWindow
    value: int
    since: float
    paused_until: float | None = None
    is_dynamic: bool = False

    def ends_at(self) -> float:
        return self.since + self.window.seconds

    def at(self, now: float) -> LimitState:
        """Return the state at `now`: full again if the window has ended."""
        if now < self.ends_at() - TOLERANCE_SECONDS:
            return self
        return self._replace(value=self.limit, since=now)


class Taken(NamedTuple):
    """Units taken, and the window they belong to; the settings are those of the key by then."""

    key: str
    units: int
    since: float
    limit: int
    window: RateLimitWindow
    is_dynamic: bool


class Refusal(NamedTuple):
    """Why an attempt does not get its units of a key.

    `state` is None for a limit nobody has set. `until` is when it may get them, as far as time decides.
    """

    claim: LimitClaim
    state: LimitState | None
    until: float | None

    def __str__(self) -> str:
        """Say what is wanted and what is there, in one sentence."""
        claim, state = self.claim, self.state
        if state is None:
            return f'Rate limit "{claim.key}" has not been set.'
        if self.is_pause:
            until = datetime.fromtimestamp(self.until or 0.0, UTC)
            return f'Rate limit "{claim.key}" is paused until {until:%Y-%m-%d %H:%M:%S} UTC.'
        wanted = f"{claim.units} wanted, {max(state.value, 0)} of {state.limit} left"
        return f'Rate limit "{claim.key}": {wanted} in this {state.window.name.lower()}.'

    @property
    def is_pause(self) -> bool:
        return (
            self.state is not None
            and self.until is not None
            and self.until == self.state.paused_until
        )


def seen_by(claim: LimitClaim, known: LimitState | None, now: float) -> LimitState | None:
    """Return the key's state as it is for this claim; None if nobody has set a limit.

    Claims that bring different limits share, within one window, the lower limit and the longer window;
    the next window begins with those of the first who takes units.
    """
    if claim.limit is None:
        return known.at(now) if known else None
    if known is None:
        return LimitState(claim.limit, claim.window, claim.limit, now, is_dynamic=True)
    state = known.at(now)
    if state is not known:
        return state._replace(limit=claim.limit, window=claim.window, value=claim.limit)
    limit = min(state.limit, claim.limit)
    return state._replace(
        limit=limit, window=max(state.window, claim.window), value=min(state.value, limit)
    )


def refusal_of(claim: LimitClaim, known: LimitState | None, now: float) -> Refusal | None:
    """Return why the claim cannot be met now; None if it can."""
    state = seen_by(claim, known, now)
    if state is None:
        return Refusal(claim, None, None)
    pause = state.paused_until
    if pause is not None and now < pause:
        return Refusal(claim, state, pause)
    if claim.units <= state.value:
        return None
    most = state.limit if claim.limit is None else claim.limit
    return Refusal(claim, state, state.ends_at() if claim.units <= most else None)


# What a task claims


class Limits(NamedTuple):
    """What a task claims, as its row stores it; or why that cannot be told."""

    stored: str | None = None
    error: str | None = None


def make_limits(step: StepDefinition, variables: Variables, before: str | None = None) -> Limits:
    """Evaluate the step's rate limits for a new task, unless that was done `before`."""
    if claims := limits_of(before):
        return Limits(_stored(claims))
    plain = _plain_claims(step.rate_limits)
    return plain or _evaluated(step.rate_limits, variables)


@lru_cache(maxsize=1_000)
def _plain_claims(rate_limits: tuple[RateLimit, ...]) -> Limits | None:
    """Return what every task of a step claims, if its rate limits depend on nothing."""
    if all(
        not found.key_expression
        and is_number(found.units_expression)
        and is_number(found.limit_expression)
        for found in rate_limits
    ):
        return _evaluated(rate_limits, {})
    return None


def _evaluated(rate_limits: Sequence[RateLimit], variables: Variables) -> Limits:
    claims: dict[str, LimitClaim] = {}
    for rate_limit in rate_limits:
        try:
            claim = _claim(rate_limit, variables)
        except _Unusable as error:
            return Limits(error=str(error))
        known = claims.get(claim.key)
        claims[claim.key] = _both(known, claim) if known else claim
    return Limits(_stored(tuple(claims.values())))


def _stored(claims: LimitClaims) -> str:
    return orjson.dumps({FORM_KEY: [[*claim] for claim in claims]}).decode()


def limits_of(stored: str | None) -> LimitClaims:
    """Return what a task with these stored keys claims."""
    return _parsed(stored) if stored and _MARK in stored else ()


@lru_cache(maxsize=20_000)
def _parsed(stored: str) -> LimitClaims:
    """One object for all tasks that claim the same: a long backlog repeats it often."""
    return tuple(
        LimitClaim(key, units, limit, RateLimitWindow(window))
        for key, units, limit, window in orjson.loads(stored).get(FORM_KEY, ())
    )


class _Unusable(Exception):
    """An expression did not come to what is wanted."""


def _claim(rate_limit: RateLimit, variables: Variables) -> LimitClaim:
    key = rate_limit.key
    if rate_limit.key_expression:
        key = _key(rate_limit.key_expression, variables)
    units = rate_limit.units
    if rate_limit.units_expression:
        units = _number(rate_limit.units_expression, variables, "units")
        if units < 0:
            raise _Unusable(_words(rate_limit.units_expression, "the units are negative"))
    limit = None
    if rate_limit.limit_expression:
        limit = _number(rate_limit.limit_expression, variables, "limit")
    return LimitClaim(
        key, units, limit if limit is not None and limit >= 0 else None, rate_limit.window
    )


def _both(one: LimitClaim, other: LimitClaim) -> LimitClaim:
    limits = [claim.limit for claim in (one, other) if claim.limit is not None]
    units = min(one.units + other.units, MAX_UNITS)
    return LimitClaim(
        one.key, units, min(limits) if limits else None, max(one.window, other.window)
    )


def _key(expression: str, variables: Variables) -> str:
    value = _evaluate(expression, variables, "key")
    if not isinstance(value, str):
        found = kind_of(value)
        raise _Unusable(
            _words(expression, f"expected string output for rate limit key, got {found}")
        )
    if problem := key_problem(value):
        raise _Unusable(_words(expression, f"the rate limit key {problem}"))
    return value


def key_problem(key: str) -> str | None:
    """Return what is wrong with a key, as the end of a sentence."""
    if not key.strip():
        return "is blank"
    if len(key) > MAX_KEY_LENGTH:
        return f"is longer than {MAX_KEY_LENGTH} characters"
    return "contains a null character" if "\0" in key else None


def _number(expression: str, variables: Variables, what: str) -> int:
    plain = _WHOLE_NUMBER.fullmatch(expression)
    value = int(plain[1]) if plain else _evaluate(expression, variables, what)
    if isinstance(value, bool) or not isinstance(value, int | float):
        found = kind_of(value)
        raise _Unusable(
            _words(expression, f"expected int output for rate limit {what}, got {found}")
        )
    # Written so that NaN is refused as well.
    if not -MAX_UNITS <= value <= MAX_UNITS:
        raise _Unusable(_words(expression, f"the rate limit {what} is out of range"))
    return int(value)


def _evaluate(expression: str, variables: Variables, what: str) -> Any:
    program = compile_expression(expression, Environment.KEY, f"rate limit {what}")
    evaluated = program.evaluate(variables)
    if evaluated.error is not None:
        raise _Unusable(_words(expression, evaluated.error))
    return evaluated.value


def _words(expression: str, problem: str) -> str:
    return f"failed to parse step expression ({expression}): {problem}"


def is_number(expression: str) -> bool:
    """Whether it is blank or a plain number, and comes to the same for every task."""
    return not expression or _WHOLE_NUMBER.fullmatch(expression) is not None


def consumed(takings: Iterable[Taken]) -> list[Taken]:
    """Add up units per key, those of the latest window only: the others' windows are over."""
    totals: dict[str, Taken] = {}
    for taken in takings:
        known = totals.get(taken.key)
        if known is None or known.since < taken.since:
            totals[taken.key] = taken
        elif known.since == taken.since:
            totals[taken.key] = taken._replace(units=known.units + taken.units)
    return sorted(totals.values())


def claims_key(claims: Sequence[LimitClaim], key: str) -> LimitClaim:
    """Return the claim on this key."""
    return next(claim for claim in claims if claim.key == key)
