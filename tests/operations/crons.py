"""Crons of a workflow, their firing, and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from engine.models import Cron, CronMiss, Run
from engine.operations.timetable.change_crons import create_cron
from engine.operations.timetable.fire_crons import fire_crons
from engine.states import CronMissCause, MissedPolicy
from engine.store import sync_db
from engine.types import TriggerRequest
from tenants.models import Tenant
from tests.cast import Cast, make_cast

START = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def cast_without_crons() -> Cast:
    """Make the cast; what tests that commit have left goes, and is rolled back as everything is."""
    Cron.objects.all().delete()
    Run.objects.all().delete()
    return make_cast()


def add(tenant: Tenant, name: str = "nightly", expression: str = "* * * * *", **given: Any) -> UUID:
    missed = given.pop("missed", MissedPolicy.SKIP)
    operation = create_cron(
        tenant.id,
        name=name,
        expression=expression,
        request=TriggerRequest("greet", **given),
        now=START,
        missed=missed,
    )
    return sync_db.run(operation)


def fire(at: datetime, not_before: datetime | None = None) -> int:
    return sync_db.run(fire_crons(at, not_before or at - MINUTE))


def metadata_of(run: Run) -> dict[str, Any]:
    assert isinstance(run.additional_metadata, dict)
    return run.additional_metadata


def nominal_times() -> list[str]:
    runs = Run.objects.order_by("id")
    return [metadata_of(run)["hatchet__cron_scheduled_at"] for run in runs]


def misses() -> list[tuple[CronMissCause, int, str, str]]:
    return [
        (
            CronMissCause(miss.cause),
            miss.count,
            f"{miss.first_at:%m-%d %H:%M:%S}",
            f"{miss.last_at:%m-%d %H:%M:%S}",
        )
        for miss in CronMiss.objects.order_by("id")
    ]


def fire_all(at: datetime, running_since: datetime) -> None:
    while sync_db.run(fire_crons(at, running_since)):
        pass
