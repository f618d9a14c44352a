"""Whoever fires a cron by its id fires it only if it is due still, and never sets it back."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from engine.models import Cron
from engine.operations.timetable.fire_crons import fire_crons, set_cron_aside
from engine.store import crons, sync_db
from engine.store.crons import Advance
from engine.store.query import fetch
from tests.api.factories import make_workflow
from tests.cast import Cast
from tests.operations.crons import MINUTE, START, add, cast_without_crons, misses, nominal_times

FIRST, SECOND = START + MINUTE, START + 2 * MINUTE


@pytest.fixture
def cast(db: None) -> Cast:
    cast = cast_without_crons()
    make_workflow(cast.tenant)
    return cast


def fire(cron_id: UUID, at: datetime) -> int:
    """Return how many crons were due."""
    return sync_db.run(fire_crons(at, START, [cron_id]))


def test_a_cron_that_another_engine_fired_first_is_left_alone(cast: Cast) -> None:
    cron_id = add(cast.tenant)
    assert sync_db.run(fetch(crons.due_ids(FIRST, 10))) == [cron_id]
    assert fire(cron_id, FIRST) == 1
    assert fire(cron_id, FIRST) == 0
    assert fire(cron_id, SECOND - timedelta(microseconds=1)) == 0
    assert nominal_times() == ["2026-05-01T12:01:00Z"]
    assert fire(cron_id, SECOND) == 1
    assert nominal_times() == ["2026-05-01T12:01:00Z", "2026-05-01T12:02:00Z"]


def test_a_cron_that_another_engine_fired_first_is_not_set_aside(cast: Cast) -> None:
    cron_id = add(cast.tenant)
    fire(cron_id, FIRST)
    sync_db.run(set_cron_aside(cron_id, "broken", FIRST))
    assert misses() == []
    assert Cron.objects.get().due_at == SECOND


def test_setting_a_due_time_does_not_forget_what_was_fired_for(cast: Cast) -> None:
    cron_id = add(cast.tenant)
    fire(cron_id, FIRST)
    sync_db.run(fetch(crons.advance([Advance(cron_id, FIRST, None)])))
    assert Cron.objects.get().fired_at == FIRST
    assert fire(cron_id, FIRST) == 1
    assert nominal_times() == ["2026-05-01T12:01:00Z"]
    assert Cron.objects.get().due_at == SECOND
