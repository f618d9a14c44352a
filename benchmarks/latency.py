"""From the trigger call to the start of the task, at an even pace; and what the parts cost alone."""

from __future__ import annotations

from typing import Any

from benchmarks.figures import percentile, ratio, summary
from benchmarks.installation import Installation
from benchmarks.processes import AgentProcess, agents, empty_server
from benchmarks.raw_postgres import measure_commits

RATES = (10, 100, 500)
BASELINE_CALLS = 500
EVENT_RATE, EVENT_TURNS = 100, 4
SLOTS = 500
WAIT_SECONDS = 30.0


def measure_latency(installed: Installation, seconds: float) -> dict[str, Any]:
    """Return percentiles in milliseconds for each rate, and the floor they are compared with."""
    with empty_server() as (empty, _), agents(empty) as (pinger,):
        pings = pinger.ask("ping", count=BASELINE_CALLS)["times_ms"]
    commits = measure_commits(installed.database_url, BASELINE_CALLS)
    floor = percentile(pings, 50) + percentile(commits, 50)
    figures: dict[str, Any] = {
        "empty_rpc_ms": summary(pings),
        "commit_ms": summary(commits),
        "floor_ms": round(floor, 2),
        "rates": {},
    }
    with agents(installed.target, installed.target) as (client, worker):
        client.ask("put_workflow", workflow="bench-latency")
        worker.ask("work", workflows=["bench-latency"], slots=SLOTS)
        pace(client, worker, "bench-latency", 100, 2.0)
        for rate in RATES:
            delays = pace(client, worker, "bench-latency", rate, seconds)
            figures["rates"][str(rate)] = {
                **summary(delays),
                "started": len(delays),
                "sent": int(rate * seconds),
                "p50_to_floor": ratio(percentile(delays, 50), floor),
            }
        figures["event"] = _measure_events(client, worker, seconds)
    return figures


def _measure_events(client: AgentProcess, worker: AgentProcess, seconds: float) -> dict[str, Any]:
    """Start runs of one workflow by calls and by events that pass a filter, in turns."""
    workflow = "bench-event"
    client.ask("put_workflow", workflow=workflow, shape="filtered")
    worker.ask("work", workflows=[workflow], slots=SLOTS)
    delays: dict[bool, list[float]] = {False: [], True: []}
    for by_event in delays:
        pace(client, worker, workflow, EVENT_RATE, 1.0, by_event=by_event)
    for _ in range(EVENT_TURNS):
        for by_event, found in delays.items():
            part = seconds / EVENT_TURNS
            found.extend(pace(client, worker, workflow, EVENT_RATE, part, by_event=by_event))
    medians = {by_event: percentile(found, 50) for by_event, found in delays.items()}
    return {
        "by_call_ms": summary(delays[False]),
        "by_event_ms": summary(delays[True]),
        "p50_to_call": ratio(medians[True], medians[False]),
    }


def pace(
    client: AgentProcess,
    worker: AgentProcess,
    workflow: str,
    rate: float,
    seconds: float,
    *,
    by_event: bool = False,
    in_sql: bool = False,
) -> list[float]:
    """Trigger at an even pace, or push events; return the delays of all runs in milliseconds.

    `in_sql` needs a client that has been told to `connect_sql`.
    """
    worker.ask("forget")
    way = "event" if by_event else "sql" if in_sql else "call"
    sent = client.ask("paced", workflow=workflow, per_second=rate, seconds=seconds, way=way)
    answer = worker.ask("wait_started", count=sent["count"], seconds=WAIT_SECONDS)
    delays: list[float] = answer["delays_ms"]
    return delays
