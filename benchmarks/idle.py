"""What an installation uses that nobody uses: memory, CPU and queries."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.installation import Installation
from benchmarks.processes import cpu_seconds, memory_bytes

_STATEMENT = re.compile(rb"LOG:  (?:statement|execute [^:]*): (?!BEGIN|COMMIT|ROLLBACK)")
_TRANSACTION = re.compile(rb"LOG:  (?:statement|execute [^:]*): (?:COMMIT|ROLLBACK)")
SETTLE_SECONDS = 5.0


def measure_idle(installed: Installation, seconds: float) -> dict[str, Any]:
    """Let engine and web do nothing for a while; Postgres logs every statement meanwhile."""
    pids = {
        "engine": installed.engine_pid,
        "web": installed.start_web(),
        "postgres": installed.postgres_pid,
    }
    figures = watch(installed, pids, seconds)
    memory = {name: round(memory_bytes(pids[name]) / 1e6, 1) for name in ("engine", "web")}
    return {**figures, "memory_mb": {**memory, "total": round(sum(memory.values()), 1)}}


def watch(installed: Installation, pids: Mapping[str, int], seconds: float) -> dict[str, Any]:
    """Count queries and CPU while nobody does anything; Postgres logs every statement meanwhile."""
    installed.database.execute("ALTER SYSTEM SET log_statement = 'all'")
    installed.database.execute("SELECT pg_reload_conf()")
    time.sleep(SETTLE_SECONDS)
    offset = installed.postgres_log.stat().st_size
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    with installed.postgres_log.open("rb") as log:
        log.seek(offset)
        lines = log.read()
    installed.database.execute("ALTER SYSTEM RESET log_statement")
    installed.database.execute("SELECT pg_reload_conf()")
    return {
        "queries_per_second": round(len(_STATEMENT.findall(lines)) / seconds, 2),
        "transactions_per_second": round(len(_TRANSACTION.findall(lines)) / seconds, 2),
        "cpu_percent": {name: round(cpu / seconds * 100, 2) for name, cpu in used.items()},
    }
