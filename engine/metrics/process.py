"""The metrics of a process, kept by handlers of telemetry. No label is made of what tenants say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from engine import telemetry
from engine.domain.histogram import SCRAPED_SECONDS
from engine.metrics.observed import ObservedHistogram
from engine.metrics.tasks import TASKS
from engine.states import TenantMetric
from engine.store.figures import SUM, TotalKey
from engine.telemetry import Measurements, Metadata
from engine.version import ENGINE_VERSION

MOST_OPERATIONS = 300
"""Told apart by name in this process; what comes later is `other`."""
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ROWS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
_LATE = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)

_COUNTED = {
    "worker.registered": ("workers_registered", "Workers that registered."),
    "worker.left": ("workers_left", "Action streams of workers that ended."),
    "worker.stalled": ("workers_stalled", "Workers that did not acknowledge what they were sent."),
    "worker.lost": ("workers_lost", "Workers that sent no heartbeat for too long."),
    "hint.received": ("hints_received", "Hints of other processes."),
    "listener.lost": ("hint_listener_lost", "How often hints of others may have been lost."),
    "lease.taken": ("leases_taken", "Tenants that this engine began to schedule."),
    "lease.lost": ("leases_lost", "Tenants whose lease ran out, or that another engine took."),
    "database.unreachable": ("database_unreachable", "What was put off for want of the database."),
}
"""Events that are only counted."""
_COUNTED_BY = {
    "race.lost": ("races_lost", "what", "Transactions that were tried again: others were first."),
    "outage.began": ("outages", "what", "How often a part did not reach the database."),
    "grpc.refused": ("grpc_refused", "code", "Calls that ended with a status other than OK."),
    "rest.failed": ("rest_failed", "status", "Requests that were answered with 5xx."),
}
"""Events that are counted by a word of a small set."""


class ProcessMetrics:
    """A registry, filled by what happens in this process while it is attached."""

    def __init__(self, kind: str) -> None:
        """`kind`: engine or web."""
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
        self.registry = CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)
        about = Gauge(
            "hatchet_process_info",
            "Which process this is.",
            ["kind", "version"],
            registry=self.registry,
        )
        about.labels(kind, ENGINE_VERSION).set(1)
        self._handlers: dict[str, Callable[[Measurements, Metadata], None]] = {}
        self._add_counts()
        self._add_database()
        if kind == "engine":
            self._add_tasks()
            self._add_loops()
            self._add_timetable()

    def attach(self) -> None:
        telemetry.attach(self.handle, *self._handlers)

    def detach(self) -> None:
        telemetry.detach(self.handle)

    def handle(self, name: str, measurements: Measurements, metadata: Metadata) -> None:
        self._handlers[name](measurements, metadata)

    # Kinds of metrics

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"hatchet_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, bounds: Any, *labels: str) -> Histogram:
        return Histogram(f"hatchet_{name}", about, labels, buckets=bounds, registry=self.registry)

    # What happens

    def _add_counts(self) -> None:
        for event, (name, about) in _COUNTED.items():
            self._handlers[event] = _adding_one(self._counter(name, about))
        for event, (name, label, about) in _COUNTED_BY.items():
            self._handlers[event] = _adding_one_by(self._counter(name, about, label), label)

    def _add_database(self) -> None:
        seconds = self._histogram(
            "database_operation_seconds",
            "How long transactions took, the wait for a connection and the commit included.",
            _FAST,
            "outcome",
        )
        by_name = Summary(
            "hatchet_database_operation_by_name_seconds",
            "How long transactions took, by operation.",
            ["operation"],
            registry=self.registry,
        )

        outcomes: dict[str, Histogram] = {}
        operations: dict[str, Summary] = {}

        def handle(measurements: Measurements, metadata: Metadata) -> None:
            """Happens several times a batch: what has these labels is looked up once."""
            took, outcome, operation = (
                measurements["seconds"],
                metadata["outcome"],
                metadata["operation"],
            )
            if outcome not in outcomes:
                outcomes[outcome] = seconds.labels(outcome.replace(" ", "_"))
            if operation not in operations and len(operations) >= MOST_OPERATIONS:
                operation = "other"
            if operation not in operations:
                operations[operation] = by_name.labels(operation)
            outcomes[outcome].observe(took)
            operations[operation].observe(took)

        self._handlers["database.operation"] = handle

    def _add_tasks(self) -> None:
        counters = {metric: self._counter(name, about) for metric, (name, about) in TASKS.items()}
        waits = ObservedHistogram(
            "hatchet_queued_to_assigned_seconds",
            "How long attempts waited for a worker.",
            SCRAPED_SECONDS,
        )
        self.registry.register(waits)
        behind = Gauge(
            "hatchet_figures_behind_seconds",
            "How old what was counted last was.",
            registry=self.registry,
        )

        def count(measurements: Measurements, metadata: Metadata) -> None:
            behind.set(measurements["behind_seconds"])
            totals: Mapping[TotalKey, float] = metadata["totals"]
            for key, amount in totals.items():
                if key.metric in counters:
                    counters[key.metric].inc(amount)
                elif key.metric == TenantMetric.QUEUE_SECONDS and key.bucket == SUM:
                    waits.add_sum(amount)
                elif key.metric == TenantMetric.QUEUE_SECONDS:
                    waits.add(key.bucket, amount)

        self._handlers["figures.counted"] = count
        self._add_decisions()

    def _add_decisions(self) -> None:
        turns = self._counter("queue_invocations", "How often schedulers went through queues.")
        assigned = self._counter("scheduler_assigned", "Attempts that schedulers gave to workers.")
        cancelled = self._counter(
            "scheduler_cancelled", "Attempts and runs that concurrency groups cancelled for others."
        )

        def decide(measurements: Measurements, _metadata: Metadata) -> None:
            turns.inc(measurements["turns"])
            assigned.inc(measurements["assigned"])
            cancelled.inc(measurements["cancelled"])

        self._handlers["scheduler.decided"] = decide
        rebuilt = self._histogram(
            "scheduler_rebuild_seconds", "How long it took to read a tenant's scheduler.", _LATE
        )
        self._handlers["scheduler.rebuilt"] = lambda measurements, _metadata: rebuilt.observe(
            measurements["seconds"]
        )

    def _add_loops(self) -> None:
        rows = self._histogram("batch_rows", "Rows in batches.", _ROWS, "batcher")
        seconds = self._histogram(
            "batch_seconds", "How long batches took, the commit included.", _FAST, "batcher"
        )
        waiting = Gauge(
            "hatchet_batch_waiting_rows",
            "Rows that waited when the last batch was written.",
            ["batcher"],
            registry=self.registry,
        )
        children: dict[str, tuple[Histogram, Histogram, Gauge]] = {}

        def flushed(measurements: Measurements, metadata: Metadata) -> None:
            name = metadata["batcher"]
            if name not in children:
                children[name] = rows.labels(name), seconds.labels(name), waiting.labels(name)
            of_rows, of_seconds, of_waiting = children[name]
            of_rows.observe(measurements["rows"])
            of_seconds.observe(measurements["seconds"])
            of_waiting.set(measurements["waiting"])

        self._handlers["batcher.flushed"] = flushed
        ticks = Summary(
            "hatchet_loop_tick_seconds",
            "How long turns of timed loops took.",
            ["loop"],
            registry=self.registry,
        )
        failures = self._counter("loop_failures", "Turns of timed loops that failed.", "loop")

        def ticked(measurements: Measurements, metadata: Metadata) -> None:
            ticks.labels(metadata["loop"]).observe(measurements["seconds"])
            if metadata["outcome"] not in ("done", "CancelledError"):
                failures.labels(metadata["loop"]).inc()

        self._handlers["loop.tick"] = ticked
        sent = self._counter("hints_sent", "Hints that were sent, by whom they are for.", "to")

        def hinted(measurements: Measurements, _metadata: Metadata) -> None:
            sent.labels("engines").inc(measurements["hints"])
            sent.labels("dashboards").inc(measurements["live"])

        self._handlers["hint.sent"] = hinted

    def _add_timetable(self) -> None:
        for event, noun in (("cron.fired", "cron"), ("schedule.fired", "schedule")):
            late = self._histogram(f"{noun}_late_seconds", f"How late {noun}s fired.", _LATE)
            self._handlers[event] = _observing(late, "late_seconds")
        missed = self._counter("cron_missed", "Times for which crons did not fire.", "cause")
        self._handlers["cron.missed"] = lambda measurements, metadata: missed.labels(
            metadata["cause"]
        ).inc(measurements["times"])


def _adding_one(counter: Counter) -> Callable[[Measurements, Metadata], None]:
    return lambda _measurements, _metadata: counter.inc()


def _adding_one_by(counter: Counter, label: str) -> Callable[[Measurements, Metadata], None]:
    return lambda _measurements, metadata: counter.labels(str(metadata[label])).inc()


def _observing(histogram: Histogram, measured: str) -> Callable[[Measurements, Metadata], None]:
    return lambda measurements, _metadata: histogram.observe(max(0.0, measurements[measured]))
