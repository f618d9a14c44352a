"""Keys that make a run unique: a child's place under its parent, and idempotency keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from engine.domain.cel.answers import Evaluated
from engine.domain.cel.expressions import Environment, compile_expression
from engine.domain.definition import RegisteredVersion
from engine.operations.parts.versions import load_versions
from engine.states import CelSource, IdempotencyMethod
from engine.store import filters, idempotency, runs
from engine.store.idempotency import KeyClaim
from engine.store.query import Operation, fetch, fetch_all
from engine.store.run_starts import NewRun
from engine.store.runs import ChildClaim, KeyedRun


def claim_children(new_runs: Sequence[NewRun]) -> Operation[list[UUID]]:
    """Claim the child keys of these runs; return each one's run id, which may be an older run's.

    Runs whose id comes back unchanged are new and to be inserted. The key is the child key, or else
    the index; it holds for ever, also across retries of the parent.
    """
    wanted: dict[tuple[UUID, str], UUID] = {}
    for run in new_runs:
        key = _child_key(run)
        if key:
            wanted.setdefault(key, run.id)
    if not wanted:
        return [run.id for run in new_runs]
    claims = [ChildClaim(parent, key, run_id) for (parent, key), run_id in sorted(wanted.items())]
    rows = yield from fetch(runs.claim_children(claims))
    owner = {(row.parent_task_id, row.key): row.run_id for row in rows}
    return [owner[key] if (key := _child_key(run)) else run.id for run in new_runs]


def _child_key(run: NewRun) -> tuple[UUID, str] | None:
    if run.parent_task_id is None or run.child_index is None:
        return None
    return run.parent_task_id, f"k:{run.child_key}" if run.child_key else f"i:{run.child_index}"


def evaluate_key(expression: str, data: bytes, metadata: bytes | None) -> Evaluated:
    """Return the key, a string, or what is wrong with it."""
    program = compile_expression(expression, Environment.IDEMPOTENCY, "idempotency expression")
    found = program.evaluate({"input": data, "additional_metadata": metadata or b"{}"})
    if isinstance(found.value, str) and "\0" in found.value:
        return Evaluated(error="must not contain a null character")
    if found.error is not None or isinstance(found.value, str):
        return found
    return Evaluated(error=f"must come to a string, not {type(found.value).__name__}")


def record_failures(
    failed: Sequence[tuple[NewRun, str]],
    versions: Mapping[UUID, RegisteredVersion],
    now: datetime,
) -> Operation[None]:
    """Keep a trace of runs that are not started because their keys could not be evaluated."""
    by_tenant: dict[UUID, list[filters.Failure]] = defaultdict(list)
    for run, problem in failed:
        settings = versions[run.version_id].definition.idempotency
        expression = settings.expression if settings else ""
        failure = filters.Failure(
            CelSource.IDEMPOTENCY_KEY, run.workflow_id, run.event_id, expression, problem
        )
        by_tenant[run.tenant_id].append(failure)
    queries = [filters.insert_failures(*listed, now) for listed in by_tenant.items()]
    if queries:
        yield from fetch_all(*queries)


def claim_keys(
    new_runs: Sequence[NewRun], versions: Mapping[UUID, RegisteredVersion], now: datetime
) -> Operation[Mapping[UUID, UUID]]:
    """Claim the keys of these runs; return who holds the keys of those that did not get theirs.

    Of runs with equal keys the first may win. What children claimed before them is taken back.
    """
    keyed = [
        KeyedRun(run.id, run.version_id, run.idempotency_key)
        for run in new_runs
        if run.idempotency_key is not None
    ]
    holder_of = yield from _claim(keyed, versions, now)
    children = [
        (run.id, run.parent_task_id)
        for run in new_runs
        if run.id in holder_of and run.parent_task_id
    ]
    if children:
        yield from fetch(runs.unclaim_children(children))
    return holder_of


def claim_keys_again(run_ids: Sequence[UUID], now: datetime) -> Operation[Mapping[UUID, UUID]]:
    """Claim the keys of those of these runs that ended, for they are to go on; return as `claim_keys` does.

    Call it before their rows are locked: whoever starts a run with the same key has the key's row locked
    when it looks at the run that holds it.
    """
    place = {run_id: number for number, run_id in enumerate(run_ids)}
    keyed = yield from fetch(runs.ended_with_keys(sorted(place)))
    if not keyed:
        return {}
    versions = yield from load_versions(run.version_id for run in keyed)
    return (yield from _claim(sorted(keyed, key=lambda run: place[run.run_id]), versions, now))


def _claim(
    keyed: Sequence[KeyedRun], versions: Mapping[UUID, RegisteredVersion], now: datetime
) -> Operation[Mapping[UUID, UUID]]:
    wanted: dict[tuple[UUID, bytes], KeyClaim] = {}
    asked: dict[UUID, tuple[UUID, bytes]] = {}
    for run in keyed:
        version = versions[run.version_id]
        settings = version.definition.idempotency
        if settings is not None:
            digest = sha256(run.idempotency_key.encode()).digest()
            ends_with_run = settings.method is IdempotencyMethod.STATUS
            claim = KeyClaim(version.tenant_id, digest, run.run_id, settings.ttl_ms, ends_with_run)
            wanted.setdefault(claim[:2], claim)
            asked[run.run_id] = claim[:2]
    if not wanted:
        return {}
    holders = yield from fetch(idempotency.claim([wanted[key] for key in sorted(wanted)], now))
    holder_of = {(row.tenant_id, row.digest): row.run_id for row in holders}
    return {run_id: holder_of[key] for run_id, key in asked.items() if holder_of[key] != run_id}
