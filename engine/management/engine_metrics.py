"""What an engine is asked for when Prometheus comes: its memory, its pool, its loop, and now and then the tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import TimeoutError as NotAnswered
from datetime import UTC, datetime
from time import monotonic

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.metrics.process import ProcessMetrics
from engine.metrics.server import serve_metrics
from engine.metrics_config import MetricsConfig
from engine.runtime.engine import HatchetEngine
from engine.runtime.loops.periodic import PeriodicService
from engine.store import figures

_ANSWER_SECONDS = 2.0
_LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class EngineState(Collector):
    """Asks the engine's event loop, from the thread in which Prometheus is answered."""

    def __init__(self, engine: HatchetEngine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine, self._loop = engine, loop

    def describe(self) -> list[Metric]:
        """Nothing needs to be asked to register this."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What the loop does not answer in time is left out."""
        asked = asyncio.run_coroutine_threadsafe(self._look(), self._loop)
        try:
            told = asked.result(_ANSWER_SECONDS)
        except NotAnswered:
            asked.cancel()
            told = {}
        for name, (about, value) in told.items():
            yield GaugeMetricFamily(f"hatchet_{name}", about, value=value)
        yield from self._pool()

    async def _look(self) -> dict[str, tuple[str, float]]:
        owners = [owner for owner in self._engine.ownership.owners.values() if owner.is_ready]
        since = [at for owner in owners for _, at in owner.unacknowledged.values()]
        now = datetime.now(UTC).timestamp()
        return {
            "scheduled_tenants": ("Tenants that this engine schedules.", len(owners)),
            "scheduler_waiting_tasks": (
                "Attempts that wait in the memory of schedulers; of long queues the head.",
                sum(owner.machine.waiting_count() for owner in owners),
            ),
            "scheduler_running_tasks": (
                "Attempts that hold slots of workers.",
                sum(owner.machine.workers.running_count() for owner in owners),
            ),
            "unacknowledged_assignments": (
                "Attempts that were handed out and that no worker has confirmed.",
                len(since),
            ),
            "oldest_unacknowledged_assignment_seconds": (
                "How long the oldest of them has been out.",
                max((now - at for at in since), default=0.0),
            ),
            "connected_workers": (
                "Workers with an open stream of tasks here.",
                len(self._engine.sessions.workers()),
            ),
        }

    def _pool(self) -> Iterator[Metric]:
        stats = self._engine.database.pool_stats()
        for name, key, about in (
            ("database_pool_size", "pool_size", "Connections to the database."),
            ("database_pool_available", "pool_available", "Connections that nobody uses."),
            ("database_pool_waiting", "requests_waiting", "Who waits for a connection."),
        ):
            yield GaugeMetricFamily(f"hatchet_{name}", about, value=stats.get(key, 0))
        yield CounterMetricFamily(
            "hatchet_database_pool_wait_seconds",
            "How long was waited for connections.",
            value=stats.get("requests_wait_ms", 0) / 1000,
        )
        yield CounterMetricFamily(
            "hatchet_database_pool_errors",
            "How often no connection came in time.",
            value=stats.get("requests_errors", 0),
        )


class LoopWatch:
    """How late the event loop turns to what is due."""

    interval_seconds = 0.25

    def __init__(self, registry: CollectorRegistry) -> None:
        about = "How late the event loop was, four times a second."
        self._lag = Histogram(
            "hatchet_event_loop_lag_seconds", about, buckets=_LAGS, registry=registry
        )

    async def run(self) -> None:
        while True:
            due = monotonic() + self.interval_seconds
            await asyncio.sleep(self.interval_seconds)
            self._lag.observe(max(0.0, monotonic() - due))


class TableWatch(PeriodicService):
    """How large the tables are, and how old what waits in the queues; each engine says it of its tenants' queues."""

    name = "table watch"
    interval_seconds = 60.0

    def __init__(self, engine: HatchetEngine, registry: CollectorRegistry) -> None:
        self._engine = engine
        self._sizes = Gauge(
            "hatchet_table_bytes",
            "How large tables are, with their indexes.",
            ["table"],
            registry=registry,
        )
        self._queue_age = Gauge(
            "hatchet_oldest_queued_seconds",
            "How long the oldest of those who are first in their queues waits.",
            registry=registry,
        )

    async def tick(self) -> bool:
        database = self._engine.database
        for size in await database.fetch(figures.table_sizes()):
            self._sizes.labels(size.name).set(size.bytes)
        tenant_ids = list(self._engine.ownership.owners)
        (oldest,) = await database.fetch(figures.oldest_queued(tenant_ids))
        age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
        self._queue_age.set(max(0.0, age))
        return False


def watch_engine(config: MetricsConfig, engine: HatchetEngine) -> list[asyncio.Task[None]]:
    """Answer Prometheus from now on, of this engine in this loop; return what is to be ended with it."""
    process = ProcessMetrics("engine")
    process.attach()
    process.registry.register(EngineState(engine, asyncio.get_running_loop()))
    watches = {
        "loop watch": LoopWatch(process.registry).run(),
        "table watch": TableWatch(engine, process.registry).run(),
    }
    serve_metrics(config, process.registry)
    return [asyncio.create_task(watch, name=name) for name, watch in watches.items()]
