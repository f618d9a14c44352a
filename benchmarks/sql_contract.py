"""Runs started in SQL: what it costs the caller, how soon they start, how fast many are taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
import psycopg

from benchmarks.figures import percentile, ratio, summary
from benchmarks.installation import Installation
from benchmarks.latency import pace
from benchmarks.processes import agents

TRANSACTIONS, TURNS = 2_000, 8
ROWS, CALL_SIZE = 10_000, 1_000
RATE = 100
SLOTS = 500
WAIT_SECONDS = 60.0
WORKFLOW = "bench-sql"
INPUT = orjson.dumps({"order": 4711, "note": "x" * 200}).decode()
_PLAIN = "INSERT INTO bench_plain (id, data) VALUES (gen_random_uuid(), %s::jsonb)"
_ENQUEUE = "SELECT hatchet_v1.enqueue(%s, %s::jsonb)"


def measure_sql(installed: Installation, seconds: float) -> dict[str, Any]:
    """Compare with a plain insert, with trigger calls at the same pace, and with calls of 1,000."""
    _let_act(installed.database)
    with agents(installed.target) as (client,):
        client.ask("put_workflow", workflow=WORKFLOW)
    figures = {"caller": _measure_caller(installed)}
    figures["latency"] = _measure_latency(installed, seconds)
    figures["taking"] = _measure_taking(installed)
    return figures


def _let_act(database: psycopg.Connection) -> None:
    database.execute(
        "INSERT INTO engine_sqlrole (id, role, tenant_id, created_at)"
        " SELECT gen_random_uuid(), current_user, id, now() FROM tenants_tenant"
        " ORDER BY created_at LIMIT 1 ON CONFLICT DO NOTHING"
    )


def _measure_caller(installed: Installation) -> dict[str, Any]:
    """Commit one row a transaction, plainly and by the function, in turns, while no engine takes any."""
    installed.stop_engine()
    times: dict[str, list[float]] = {"plain": [], "enqueue": []}
    with psycopg.connect(installed.database_url) as connection:
        connection.execute("CREATE TABLE bench_plain (id uuid PRIMARY KEY, data jsonb NOT NULL)")
        connection.commit()
        work: dict[str, Callable[[], Any]] = {
            "plain": lambda: connection.execute(_PLAIN, [INPUT]),
            "enqueue": lambda: connection.execute(_ENQUEUE, [WORKFLOW, INPUT]),
        }
        for turn in range(TURNS + 1):
            for name, statement in work.items():
                measured = _timed(connection, statement, TRANSACTIONS // TURNS)
                times[name] += measured if turn else []  # the first warms up
        connection.execute("DROP TABLE bench_plain")
        connection.execute("DELETE FROM engine_outboxrow")
        connection.commit()
    installed.start_engine()
    medians = {name: percentile(found, 50) for name, found in times.items()}
    return {
        "plain_ms": summary(times["plain"]),
        "enqueue_ms": summary(times["enqueue"]),
        "p50_to_plain": ratio(medians["enqueue"], medians["plain"]),
    }


def _timed(connection: psycopg.Connection, statement: Callable[[], Any], count: int) -> list[float]:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        statement()
        connection.commit()
        times.append((time.perf_counter() - started) * 1000)
    return times


def _measure_latency(installed: Installation, seconds: float) -> dict[str, Any]:
    """From before the call, which is before the commit, to the start of the task."""
    delays: dict[bool, list[float]] = {False: [], True: []}
    with agents(installed.target, installed.target) as (client, worker):
        client.ask("put_workflow", workflow=WORKFLOW)
        worker.ask("work", workflows=[WORKFLOW], slots=SLOTS)
        client.ask("connect_sql", conninfo=installed.database_url)
        for turn in range(TURNS // 2 + 1):
            for in_sql, found in delays.items():
                part = pace(client, worker, WORKFLOW, RATE, seconds * 2 / TURNS, in_sql=in_sql)
                found.extend(part if turn else [])
    medians = {in_sql: percentile(found, 50) for in_sql, found in delays.items()}
    return {
        "by_call_ms": summary(delays[False]),
        "in_sql_ms": summary(delays[True]),
        "p50_to_call": ratio(medians[True], medians[False]),
    }


def _measure_taking(installed: Installation) -> dict[str, Any]:
    """Take 10,000 rows of one commit, and trigger as many in calls of 1,000, while no worker is there."""
    rates: dict[str, list[float]] = {"calls": [], "sql": []}
    with agents(installed.target) as (client,):
        client.ask("put_workflow", workflow="bench-sql-many")
        for turn in range(3):
            sent = client.ask(
                "enqueue", workflow="bench-sql-many", count=ROWS, size=CALL_SIZE, concurrency=4
            )
            taken = _seconds_to_take(installed.database)
            if turn:
                rates["calls"].append(ROWS / sent["seconds"])
                rates["sql"].append(ROWS / taken)
    medians = {name: percentile(found, 50) for name, found in rates.items()}
    return {
        "calls_per_second": round(medians["calls"], 1),
        "rows_per_second": round(medians["sql"], 1),
        "rate_to_calls": ratio(medians["sql"], medians["calls"]),
    }


def _seconds_to_take(database: psycopg.Connection) -> float:
    """From the commit of all rows until the last of them is gone."""
    with database.transaction():
        database.execute(
            "SELECT count(*) FROM hatchet_v1.enqueue_many('bench-sql-many', array_fill(%s::jsonb, ARRAY[%s]))",
            ['{"sent":12345.678901,"key":"key-0"}', ROWS],
        )
    started = time.monotonic()
    while time.monotonic() < started + WAIT_SECONDS:
        row = database.execute("SELECT EXISTS (SELECT FROM engine_outboxrow)").fetchone()
        if row == (False,):
            break
        time.sleep(0.005)
    return time.monotonic() - started
