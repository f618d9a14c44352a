"""What a search in a tenant's log lines takes, and what its indexes cost: `python -m benchmarks.logs`.

JSON on standard output: by question the milliseconds of its answers over HTTP, and how many of them
had looked at all lines; microseconds of Postgres to write a line with and without the indexes.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson

from benchmarks.figures import summary
from benchmarks.http_load import connection, request
from benchmarks.installation import Installation, installation
from benchmarks.processes import Neighbours, cpu_seconds
from engine.ids import new_id

WORKFLOWS, RUNS, WRITTEN_AT_ONCE = 20, 100, 500
_FILL = """
INSERT INTO engine_logline (id, run_id, task_id, step_id, tenant_id, retry_count, level, message, created_at)
SELECT (lpad(to_hex(%(first)s + n * %(ms)s / %(lines)s), 12, '0') || '7000' || '8000'
        || lpad(to_hex(n), 12, '0'))::uuid,
       run_id, run_id, steps[1 + n %% cardinality(steps)], %(tenant)s, n %% 50 / 49,
       CASE WHEN n %% 100 = 0 THEN 4 WHEN n %% 20 = 1 THEN 3 WHEN n %% 5 = 2 THEN 1 ELSE 2 END,
       'order ' || md5(n::text) || ' of customer ' || n %% 9973 || ' was priced in ' || n %% 311 || ' ms'
       || CASE WHEN n %% 100000 = 7 THEN ' after a Needle' ELSE '' END,
       to_timestamp((%(first)s + n * %(ms)s / %(lines)s) / 1000.0)
  FROM generate_series(%(from)s::bigint, %(to)s::bigint) AS n,
       LATERAL (SELECT %(steps)s::uuid[] AS steps,
                       CASE WHEN n %% 1000 = 0 THEN (%(runs)s::uuid[])[1 + n / 1000 %% %(run_count)s]
                            ELSE md5((n / 50)::text)::uuid END AS run_id) AS own
"""
_WITHOUT = ("DROP INDEX log_line_by_tenant", "DROP INDEX log_line_grave")
_WITH = (
    "CREATE INDEX log_line_by_tenant ON engine_logline (tenant_id, id)",
    "CREATE INDEX log_line_grave ON engine_logline (tenant_id, id) WHERE level >= 3",
)


def measure_logs(installed: Installation, lines: int, rounds: int) -> dict[str, Any]:
    tenant_id, steps, runs = _prepare()
    cost = _cost_of_writing(installed, tenant_id, runs[0])
    _fill(installed, tenant_id, steps, runs, lines)
    installed.start_web()
    asked = asyncio.run(_ask_all(installed, tenant_id, runs[7], rounds))
    searches = [
        took for name, found in asked.items() for took in found["ms"] if "count" not in name
    ]
    figures = {
        name: {**summary(found["ms"]), "complete": found["complete"], "rows": found["rows"]}
        for name, found in asked.items()
    }
    return {"lines": lines, "searches": summary(searches), "questions": figures, "writing": cost}


def _prepare() -> tuple[UUID, list[UUID], list[UUID]]:
    from engine.domain.definition import StepDefinition, WorkflowDefinition
    from engine.models import Step
    from engine.operations.put_workflow import put_workflow
    from engine.operations.trigger_runs import trigger_runs
    from engine.store import sync_db
    from engine.types import TriggerRequest
    from tenants.models import Tenant

    tenant, now = Tenant.objects.order_by("created_at")[0], datetime.now(UTC)
    for number in range(WORKFLOWS):
        name = f"flow-{number}"
        step = StepDefinition(readable_id=name, action_id=f"{name}:{name}")
        sync_db.run(put_workflow(tenant.id, WorkflowDefinition(name=name, steps=(step,)), now))
    runs = sync_db.run(trigger_runs(tenant.id, [TriggerRequest("flow-0")] * RUNS, now))
    return tenant.id, list(Step.objects.order_by("id").values_list("id", flat=True)), runs


def _fill(
    installed: Installation,
    tenant_id: UUID,
    steps: Sequence[UUID],
    runs: Sequence[UUID],
    lines: int,
) -> None:
    """Lines of the last 24 hours, evenly."""
    day = 86_400_000
    first = int(time.time() * 1000) - day
    with installed.database.transaction():
        for start in range(1, lines + 1, 500_000):
            installed.database.execute(
                _FILL,
                {
                    "first": first,
                    "ms": day,
                    "lines": lines,
                    "tenant": tenant_id,
                    "from": start,
                    "to": min(start + 499_999, lines),
                    "steps": list(steps),
                    "runs": list(runs),
                    "run_count": len(runs),
                },
            )
    installed.database.execute("VACUUM ANALYZE engine_logline")


async def _ask_all(
    installed: Installation, tenant_id: UUID, run_id: UUID, rounds: int
) -> dict[str, dict[str, Any]]:
    """Ask each question so many times, in turns, one at a time."""
    path = f"/api/v1/stable/tenants/{tenant_id}"
    headers = {"Authorization": f"Bearer {installed.target.token}"}
    found: dict[str, dict[str, Any]] = {}
    async with connection(installed.http_port) as ask:
        for turn in range(rounds + 1):
            for name, (kind, query) in _questions(run_id, turn).items():
                wanted = request("GET", f"{path}/{kind}?{urlencode(query, doseq=True)}", headers)
                started = time.monotonic()
                body, head = await ask.answer_with_head(wanted)
                took = (time.monotonic() - started) * 1000
                entry = found.setdefault(name, {"ms": [], "complete": True, "rows": 0})
                if turn:
                    entry["ms"].append(took)
                entry["complete"] = b"x-searched-to" not in head.lower()
                answer = orjson.loads(body)
                entry["rows"] = len(answer.get("rows", answer.get("results")))
    return found


def _questions(run_id: UUID, turn: int) -> dict[str, tuple[str, dict[str, Any]]]:
    since = datetime.now(UTC) - timedelta(days=2)
    newest = {"since": since.isoformat(), "order_by_direction": "DESC", "limit": 50}
    hour = datetime.now(UTC) - timedelta(hours=3 + turn % 12)
    return {
        "newest": ("logs", newest),
        "frequent text": ("logs", newest | {"search": f"customer {turn}"}),
        "text of one line in 5,000": ("logs", newest | {"search": f" customer {turn + 100} was"}),
        "text of one line in 100,000": ("logs", newest | {"search": "needle"}),
        "text of no line": ("logs", newest | {"search": f"100%_{turn}"}),
        "errors": ("logs", newest | {"levels": "ERROR"}),
        "text among errors": ("logs", newest | {"levels": "ERROR", "search": f"customer {turn}1"}),
        "attempt": ("logs", newest | {"attempt": 2}),
        "run": ("logs", newest | {"taskExternalIds": str(run_id)}),
        "an hour, the oldest first": (
            "logs",
            {"since": hour.isoformat(), "until": (hour + timedelta(hours=1)).isoformat()},
        ),
        "count": ("log-point-metrics", {}),
        "count of a text": ("log-point-metrics", {"search": f"customer {turn}"}),
    }


def _cost_of_writing(installed: Installation, tenant_id: UUID, task_id: UUID) -> dict[str, float]:
    """Microseconds of Postgres a line, in batches, in turns with the indexes and without them."""
    taken: dict[str, list[float]] = {"with_indexes_us": [], "without_us": []}
    for _ in range(3):
        for name, before in (("without_us", _WITHOUT), ("with_indexes_us", _WITH)):
            for statement in before:
                installed.database.execute(statement)
            taken[name].append(_write(installed, tenant_id, task_id, 100))
    installed.database.execute("TRUNCATE engine_logline")
    return {name: round(statistics.median(values), 1) for name, values in taken.items()}


def _write(installed: Installation, tenant_id: UUID, task_id: UUID, batches: int) -> float:
    from engine.store import log_lines, sync_db
    from engine.store.query import fetch
    from engine.types import LogInput

    message = "order 1b645389 of customer 9973 was priced in 311 ms, 17 items in 3 parcels, express"
    lines = [LogInput(tenant_id, task_id, message)] * WRITTEN_AT_ONCE
    before = cpu_seconds(installed.postgres_pid)
    for _ in range(batches):
        ids = [new_id() for _ in lines]
        sync_db.run(fetch(log_lines.insert(ids, lines, datetime.now(UTC))))
    spent = cpu_seconds(installed.postgres_pid) - before
    return spent / (batches * WRITTEN_AT_ONCE) * 1e6


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.logs", description=__doc__)
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args(words)
    # A plain SIGTERM would end Python and leave Postgres running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with installation() as installed:
        neighbours = Neighbours()
        figures = measure_logs(installed, chosen.lines, chosen.rounds)
        figures["others_cpu_percent"] = neighbours.percent()
    sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
