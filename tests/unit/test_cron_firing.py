"""What a cron decides when its time has come: once for each time, and never for one behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.domain.cron.expression import parse_cron
from engine.domain.cron.firing import LATEST, DueCron, Firing, fire, first_due
from engine.states import CronMissCause, MissedPolicy

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)
EVERY_MINUTE = parse_cron("* * * * *", "cron", NOON)


def decide(
    due_at: datetime,
    *,
    fired_at: datetime | None = None,
    now: datetime | None = None,
    running_since: datetime | None = None,
    policy: MissedPolicy = MissedPolicy.SKIP,
    is_paused: bool = False,
) -> Firing:
    cron = DueCron(EVERY_MINUTE, due_at, fired_at, policy)
    return fire(cron, now or due_at, running_since or due_at, is_paused=is_paused)


@pytest.mark.parametrize("behind", [0 * MINUTE, MINUTE, 5 * MINUTE])
@pytest.mark.parametrize("is_paused", [False, True])
@pytest.mark.parametrize("policy", MissedPolicy)
def test_a_time_up_to_the_last_one_fired_for_fires_no_more(
    behind: timedelta, is_paused: bool, policy: MissedPolicy
) -> None:
    due_at = NOON - behind
    found = decide(due_at, fired_at=NOON, policy=policy, is_paused=is_paused, now=NOON + MINUTE)
    assert found == Firing(None, NOON + MINUTE)


def test_the_time_after_the_last_one_fired_for_fires() -> None:
    assert decide(NOON, fired_at=NOON - MINUTE) == Firing(NOON, NOON + MINUTE)
    assert decide(NOON) == Firing(NOON, NOON + MINUTE)


def test_an_engine_that_started_at_the_time_fires_and_one_that_started_after_has_missed_it() -> (
    None
):
    assert decide(NOON, running_since=NOON).fires_for == NOON
    late = decide(NOON, running_since=NOON + INSTANT, now=NOON + INSTANT)
    assert (late.fires_for, late.due_at) == (None, NOON + MINUTE)
    assert late.missed is not None
    assert (late.missed.cause, late.missed.times) == (CronMissCause.STOPPED, 1)


def test_a_time_is_late_after_a_minute_although_an_engine_ran() -> None:
    assert decide(NOON, running_since=NOON - MINUTE, now=NOON + LATEST).fires_for == NOON
    late = decide(NOON, running_since=NOON - MINUTE, now=NOON + LATEST + INSTANT)
    assert (late.fires_for, late.due_at) == (None, NOON + MINUTE)
    assert late.missed is not None
    assert (late.missed.cause, late.missed.times) == (CronMissCause.LATE, 1)
    at_the_start = decide(NOON, running_since=NOON, now=NOON + LATEST + INSTANT)
    assert at_the_start.missed is not None
    assert at_the_start.missed.cause is CronMissCause.LATE


def test_what_it_fired_for_is_not_due_again_whatever_it_is_asked_from() -> None:
    assert first_due(EVERY_MINUTE, NOON) == NOON
    assert first_due(EVERY_MINUTE, NOON, fired_at=NOON) == NOON + MINUTE
    assert first_due(EVERY_MINUTE, NOON, fired_at=NOON + 3 * MINUTE) == NOON + 4 * MINUTE
    assert first_due(EVERY_MINUTE, NOON, fired_at=NOON - 3 * MINUTE) == NOON
