"""The loops that only keep the tables in shape, and need nothing but them."""

from __future__ import annotations

from engine.retention_config import RetentionConfig
from engine.runtime.controllers.bulk_actions import BulkActions
from engine.runtime.controllers.housekeeping import Housekeeping
from engine.runtime.controllers.limit_watch import LimitWatch
from engine.runtime.controllers.retention import Retention
from engine.runtime.loops.periodic import PeriodicService
from engine.store.async_db import AsyncDatabase


def upkeep(database: AsyncDatabase, retention: RetentionConfig) -> list[PeriodicService]:
    return [
        Housekeeping(database),
        Retention(database, retention),
        BulkActions(database),
        LimitWatch(database),
    ]
