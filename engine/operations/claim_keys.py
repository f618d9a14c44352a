"""Idempotency keys: what they are for a new run, and who may have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from engine.domain.cel import Environment, Evaluated, compile_expression
from engine.domain.definition import RegisteredVersion
from engine.states import IdempotencyMethod
from engine.store import idempotency, runs
from engine.store.idempotency import KeyClaim
from engine.store.query import Operation, fetch
from engine.store.run_starts import NewRun


def evaluate_key(expression: str, data: bytes, metadata: bytes | None) -> Evaluated:
    """Return the key, a string, or what is wrong with it."""
    program = compile_expression(expression, Environment.IDEMPOTENCY, "idempotency expression")
    found = program.evaluate({"input": data, "additional_metadata": metadata or b"{}"})
    if found.error is not None or isinstance(found.value, str):
        return found
    return Evaluated(error=f"must come to a string, not {type(found.value).__name__}")


def claim_keys(
    new_runs: Sequence[NewRun], versions: Mapping[UUID, RegisteredVersion], now: datetime
) -> Operation[Mapping[UUID, UUID]]:
    """Claim the keys of these runs; return who holds the keys of those that did not get theirs.

    Of runs with equal keys the first may win. What children claimed before them is taken back.
    """
    wanted: dict[tuple[UUID, bytes], KeyClaim] = {}
    for run in new_runs:
        settings = versions[run.version_id].definition.idempotency
        if run.idempotency_key is not None and settings is not None:
            ends_with_run = settings.method is IdempotencyMethod.STATUS
            claim = KeyClaim(run.tenant_id, _digest(run), run.id, settings.ttl_ms, ends_with_run)
            wanted.setdefault(claim[:2], claim)
    if not wanted:
        return {}
    holders = yield from fetch(idempotency.claim([wanted[key] for key in sorted(wanted)], now))
    holder_of = {(row.tenant_id, row.digest): row.run_id for row in holders}
    losers = {
        run: holder_of[run.tenant_id, _digest(run)]
        for run in new_runs
        if run.idempotency_key is not None and holder_of[run.tenant_id, _digest(run)] != run.id
    }
    children = [(run.id, run.parent_task_id) for run in losers if run.parent_task_id]
    if children:
        yield from fetch(runs.unclaim_children(children))
    return {run.id: holder for run, holder in losers.items()}


def _digest(run: NewRun) -> bytes:
    return sha256((run.idempotency_key or "").encode()).digest()
