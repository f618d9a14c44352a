"""What programs do most over REST, beside an empty view of the same server, in turns."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from benchmarks.figures import ratio, summary
from benchmarks.http_load import Measured, connection, measure_in_turns, paced, request
from benchmarks.installation import Installation
from benchmarks.throughput import sdk_worker

PACE = 50.0
WORKFLOW = "bench-sdk"
STABLE = "/api/v1/stable"


def measure_rest(installed: Installation, seconds: float) -> dict[str, Any]:
    """Trigger a task that does nothing and is run by the official SDK's worker; read runs of it."""
    web, empty = installed.start_web(), installed.start_empty_web()
    port, tenant = installed.http_port, _tenant_path(installed)
    with sdk_worker(installed):
        trigger = _trigger(installed, tenant)
        reads = _reads(installed, tenant, asyncio.run(_run_of(port, trigger)))
        asked = {
            "empty_view": Measured(
                empty, installed.empty_http_port, [request("GET", "/empty", {})]
            ),
            "trigger": Measured(web, port, [trigger]),
            **{name: Measured(web, port, [wanted]) for name, wanted in reads.items()},
        }
        measure_in_turns(list(asked.values()), seconds)
        delays = asyncio.run(paced(port, trigger, PACE, seconds * 2))
    figures = {name: measured.figures() for name, measured in asked.items()}
    floor = figures["empty_view"]
    return {
        **figures,
        "trigger_ms_at_50": summary(delays),
        "cpu_to_empty_view": {
            name: ratio(found["web_cpu_us"], floor["web_cpu_us"])
            for name, found in figures.items()
            if name != "empty_view"
        },
    }


async def _run_of(port: int, trigger: bytes) -> str:
    async with connection(port) as ask:
        run_id: str = orjson.loads(await ask.answer(trigger))["run"]["metadata"]["id"]
        return run_id


def _trigger(installed: Installation, tenant: str) -> bytes:
    body = orjson.dumps({"workflowName": WORKFLOW, "input": {}})
    return request("POST", f"{tenant}/workflow-runs/trigger", _credentials(installed), body)


def _reads(installed: Installation, tenant: str, run_id: str) -> dict[str, bytes]:
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    listed = urlencode({"since": since, "only_tasks": "false", "limit": 50})
    paths = {
        "run": f"{STABLE}/workflow-runs/{run_id}",
        "status": f"{STABLE}/workflow-runs/{run_id}/status",
        "list_of_50": f"{tenant}/workflow-runs?{listed}",
    }
    return {name: request("GET", path, _credentials(installed)) for name, path in paths.items()}


def _credentials(installed: Installation) -> dict[str, str]:
    return {"Authorization": f"Bearer {installed.target.token}"}


def _tenant_path(installed: Installation) -> str:
    row = installed.database.execute(
        "SELECT id FROM tenants_tenant ORDER BY created_at LIMIT 1"
    ).fetchone()
    assert row is not None
    return f"{STABLE}/tenants/{row[0]}"
