"""Which concurrency groups a task belongs to: keys made from its input when it is created.

A task asks for one slot in the group of each strategy of its chain, in order; the scheduler's groups
decide who holds them. Where a workflow of several tasks has strategies of its own, its runs ask for
their slots, each once for all its tasks but the one on failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from engine.domain.assignment import WHOLE_RUN, Claim, Claims, GroupId, RunClaims
from engine.domain.batches import ITEM_OVERHEAD_BYTES, BatchGroup, BatchPlace
from engine.domain.cel.expressions import Environment, Variables, compile_expression, kind_of
from engine.domain.definition import (
    Batch,
    Concurrency,
    RegisteredStep,
    RegisteredVersion,
    WorkflowDefinition,
)
from engine.states import StepKind

MAX_KEY_LENGTH = 10_000
MOST_RUNS = 2**31 - 1
_TENANT_WIDE = UUID(int=0)


class Keys(NamedTuple):
    """The keys of a task or a run, one for each strategy of its chain, as rows store them; or why there are none."""

    stored: str | None = None
    error: str | None = None


NO_KEYS = Keys()


def run_chain(version: RegisteredVersion) -> tuple[Concurrency, ...]:
    """Return the strategies that count whole runs; a standalone task has them in its own chain."""
    definition = version.definition
    return definition.concurrency if definition.is_dag else ()


def asks_with_run(version: RegisteredVersion, step: RegisteredStep) -> bool:
    """Whether the step's tasks need their run to hold slots; the one on failure never does."""
    return bool(run_chain(version)) and step.definition.kind is not StepKind.ON_FAILURE


@lru_cache(maxsize=10_000)
def chains_of(version: RegisteredVersion) -> Mapping[UUID, tuple[Concurrency, ...]]:
    """Return the chain of each step whose tasks need keys; a blank one if only their run's count.

    Or that of their batch groups.
    """
    of_workflow = () if version.definition.is_dag else version.definition.concurrency
    chains = {}
    for step in version.steps:
        chain = (*of_workflow, *step.definition.concurrency)
        if chain or step.definition.batch or asks_with_run(version, step):
            chains[step.id] = chain
    return chains


def shared_strategies_of(definition: WorkflowDefinition) -> list[Concurrency]:
    """Return the strategies of a definition that belong to the whole tenant."""
    chains = (definition.concurrency, *(step.concurrency for step in definition.steps))
    return [strategy for chain in chains for strategy in chain if strategy.name]


def make_run_keys(
    version: RegisteredVersion,
    variables: Variables,
    run_id: UUID,
    *,
    priority: int,
    arrival: UUID,
) -> Keys:
    """Evaluate the strategies that count whole runs, for a run that asks for its slots."""
    chain = run_chain(version)
    if not chain:
        return NO_KEYS
    form, error = _evaluate_chain(chain, variables)
    if error:
        return Keys(error=error)
    form |= {"id": str(run_id), "priority": priority, "arrival": str(arrival)}
    return Keys(orjson.dumps(form).decode())


def make_keys(
    version: RegisteredVersion,
    step: RegisteredStep,
    variables: Variables,
    *,
    priority: int,
    arrival: UUID,
    run_keys: Keys = NO_KEYS,
    outputs_size: int = 0,
) -> Keys:
    """Evaluate the chain's expressions for a new task, and that of its batch group.

    `arrival` tells who came later where that matters: ids grow with time. `outputs_size` is that of
    what its worker gets beside the input, in bytes.
    """
    chain = chains_of(version).get(step.id)
    if chain is None:
        return NO_KEYS
    if not asks_with_run(version, step):
        run_keys = NO_KEYS
    form, error = _evaluate_chain(chain, variables)
    if run_keys.error or error:
        return Keys(error=run_keys.error or error)
    form |= {"priority": priority, "arrival": str(arrival)}
    if run_keys.stored:
        form["run"] = orjson.Fragment(run_keys.stored)
    if batch := step.definition.batch:
        key, error = _batch_key(batch, variables)
        if error:
            expression = batch.group_key
            return Keys(error=f"failed to parse batch group key expression ({expression}): {error}")
        form["batch"] = [key, len(variables["input"]) + outputs_size]
    return Keys(orjson.dumps(form).decode())


def _batch_key(batch: Batch, variables: Variables) -> tuple[str, str | None]:
    if not batch.group_key:
        return "", None
    key, error = _evaluate_key(batch.group_key, variables, "batch")
    return key.strip(), error


def _evaluate_chain(
    chain: Sequence[Concurrency], variables: Variables
) -> tuple[dict[str, Any], str | None]:
    """Return the keys, and the limits if any is computed; or what is wrong with the first bad one."""
    keys: list[str] = []
    limits: list[int | None] = []
    for strategy in chain:
        key, error = _evaluate_key(strategy.expression, variables, "concurrency")
        if error:
            return {}, _problem(strategy.expression, error)
        keys.append(key)
        limit: int | None = None
        if strategy.max_runs_expression:
            limit, error = _evaluate_limit(strategy.max_runs_expression, variables)
            if error:
                return {}, _problem(strategy.max_runs_expression, error)
        limits.append(limit)
    return {"keys": keys} | ({"limits": limits} if any(limits) else {}), None


def _problem(expression: str, error: str) -> str:
    return f"failed to parse step expression ({expression}): {error}"


def _evaluate_key(expression: str, variables: Variables, noun: str) -> tuple[str, str | None]:
    program = compile_expression(expression, Environment.KEY, f"{noun} expression")
    evaluated = program.evaluate(variables)
    if evaluated.error is not None:
        return "", evaluated.error
    if not isinstance(evaluated.value, str):
        return "", f"expected string output for {noun} key, got {kind_of(evaluated.value)}"
    if len(evaluated.value) > MAX_KEY_LENGTH:
        return "", f"the {noun} key is longer than {MAX_KEY_LENGTH} characters"
    if "\0" in evaluated.value:
        return "", f"the {noun} key contains a null character"
    return evaluated.value, None


def _evaluate_limit(expression: str, variables: Variables) -> tuple[int | None, str | None]:
    """Numbers of JSON are doubles: their fractions are cut off."""
    program = compile_expression(expression, Environment.KEY, "max_runs expression")
    evaluated = program.evaluate(variables)
    if evaluated.error is not None:
        return None, evaluated.error
    value = evaluated.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, f"expected int output for max runs, got {kind_of(value)}"
    if not value >= 1:
        return None, f"max runs must be at least 1, got {value:g}"
    return int(min(value, MOST_RUNS)), None


def claims_of(
    version: RegisteredVersion, step: RegisteredStep, stored: str | None
) -> Claims | None:
    """Return what a task with these stored keys asks for; None if it asks for nothing."""
    if stored is None or step.id not in chains_of(version):
        return None
    form = orjson.loads(stored)
    chain = chains_of(version).get(step.id, ())
    of_workflow = len(chain) - len(step.definition.concurrency)
    return Claims(
        _claims(form, chain, version.id, step.ordinal, of_workflow),
        form["priority"],
        UUID(form["arrival"]).int,
        _run_claims(version, form["run"]) if "run" in form else None,
        _batch_place(step, form["batch"]) if "batch" in form else None,
    )


def _batch_place(step: RegisteredStep, stored: tuple[str, int]) -> BatchPlace | None:
    batch, (key, size) = step.definition.batch, stored
    if batch is None:
        return None
    return BatchPlace(_batch_group(step.id, key, batch), size + ITEM_OVERHEAD_BYTES)


@lru_cache(maxsize=20_000)
def _batch_group(step_id: UUID, key: str, batch: Batch) -> BatchGroup:
    return BatchGroup(
        step_id, key, batch.max_size, batch.max_interval_ms / 1000, batch.group_max_runs
    )


def run_claims_of(version: RegisteredVersion, stored: str) -> RunClaims:
    """Return what a run with these stored keys asks for."""
    return _run_claims(version, orjson.loads(stored))


def _run_claims(version: RegisteredVersion, form: Mapping[str, Any]) -> RunClaims:
    chain = run_chain(version)
    return RunClaims(
        UUID(form["id"]).int,
        _claims(form, chain, version.id, WHOLE_RUN, len(chain)),
        form["priority"],
        UUID(form["arrival"]).int,
    )


def _claims(
    form: Mapping[str, Any],
    chain: Sequence[Concurrency],
    version_id: UUID,
    ordinal: int,
    of_workflow: int,
) -> tuple[Claim, ...]:
    keys, limits = form["keys"], form.get("limits") or [None] * len(chain)
    return tuple(
        _claim(
            GroupId(_TENANT_WIDE, 0, 0, key, strategy.name)
            if strategy.name
            else GroupId(version_id, ordinal, number, key),
            strategy,
            number >= of_workflow,
            limit,
        )
        for number, (key, strategy, limit) in enumerate(zip(keys, chain, limits, strict=True))
    )


@lru_cache(maxsize=20_000)
def _claim(
    group: GroupId, strategy: Concurrency, counts_priority: bool, limit: int | None
) -> Claim:
    """One object for all tasks of a group: a long backlog repeats it often."""
    return Claim(
        group, limit or strategy.max_runs, strategy.strategy, counts_priority, limit is not None
    )


def key_variables(
    run_id: UUID, run_input: bytes, additional_metadata: str | None
) -> dict[str, bytes | str]:
    """Return what expressions of keys may refer to."""
    return {
        "input": run_input,
        "additional_metadata": additional_metadata.encode() if additional_metadata else b"",
        "workflow_run_id": str(run_id),
    }
