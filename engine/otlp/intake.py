"""How many spans this process takes: a sample of the traces, and of each run and tenant only so many."""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b
from uuid import UUID

from engine.tracing_config import TracingConfig
from tenants.buckets import Buckets

_MOST_RUNS = 20_000
"""So many are counted at once; that which had a span longest ago is forgotten."""
_DIGEST_BYTES = 7


class Intake:
    """Counts in each process by itself; safe to share between threads."""

    def __init__(self, config: TracingConfig) -> None:
        self.keeps_payloads = config.keeps_payloads
        self._most_of_run = config.spans_per_run
        self._most_a_minute = config.spans_per_minute
        self._sampled_below = config.sampling_rate * (1 << 8 * _DIGEST_BYTES)
        self._lock = threading.Lock()
        self._of_run: OrderedDict[tuple[UUID, UUID], int] = OrderedDict()
        self._of_tenant: Buckets[UUID] = Buckets(
            self._most_a_minute / 60, float(self._most_a_minute)
        )

    def samples(self, trace_id: UUID) -> bool:
        """Whether this trace is kept, as a whole; ids that are made in a row are chosen independently."""
        digest = blake2b(trace_id.bytes, digest_size=_DIGEST_BYTES).digest()
        return int.from_bytes(digest) < self._sampled_below

    def refusal_of(self, tenant_id: UUID, run_id: UUID) -> str:
        """Take one span of a run, or of a trace; say what it is beyond, or nothing."""
        if not self._of_tenant.take(tenant_id):
            return f"beyond {self._most_a_minute} spans a minute"
        key = tenant_id, run_id
        with self._lock:
            number = self._of_run.pop(key, 0)
            self._of_run[key] = number + 1
            while len(self._of_run) > _MOST_RUNS:
                self._of_run.popitem(last=False)
        return f"beyond {self._most_of_run} spans of one run" if number >= self._most_of_run else ""
