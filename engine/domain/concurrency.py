"""Which concurrency groups a task belongs to: keys made from its input when it is created.

A task asks for one slot in the group of each strategy of its chain, in order; the scheduler's groups
decide who holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import orjson

from engine.domain.assignment import Claim, Claims, GroupId
from engine.domain.cel import Environment, Variables, compile_expression
from engine.domain.definition import Concurrency, RegisteredStep, RegisteredVersion

MAX_KEY_LENGTH = 10_000

_KIND_NAMES = {
    bool: "bool",
    int: "int",
    float: "double",
    bytes: "bytes",
    list: "list",
    dict: "map",
    type(None): "null",
}


class Keys(NamedTuple):
    """The keys of a task, one for each strategy of its chain, as rows store them; or why there are none."""

    stored: str | None = None
    error: str | None = None


NO_KEYS = Keys()


@lru_cache(maxsize=10_000)
def chains_of(version: RegisteredVersion) -> Mapping[UUID, tuple[Concurrency, ...]]:
    """Return the chain of each step that has one: the workflow's strategies first, then its own."""
    chains = {}
    for step in version.steps:
        chain = (*version.definition.concurrency, *step.definition.concurrency)
        if chain:
            chains[step.id] = chain
    return chains


def make_keys(
    version: RegisteredVersion,
    step: RegisteredStep,
    variables: Variables,
    *,
    priority: int,
    arrival: UUID,
) -> Keys:
    """Evaluate the chain's expressions for a new task.

    `arrival` tells who came later where that matters: ids grow with time.
    """
    chain = chains_of(version).get(step.id)
    if not chain:
        return NO_KEYS
    keys = []
    for strategy in chain:
        key, error = _evaluate(strategy.expression, variables)
        if error:
            return Keys(error=f"failed to parse step expression ({strategy.expression}): {error}")
        keys.append(key)
    form = {"keys": keys, "priority": priority, "arrival": str(arrival)}
    return Keys(orjson.dumps(form).decode())


def _evaluate(expression: str, variables: Variables) -> tuple[str, str | None]:
    program = compile_expression(expression, Environment.KEY, "concurrency expression")
    evaluated = program.evaluate(variables)
    if evaluated.error is not None:
        return "", evaluated.error
    if not isinstance(evaluated.value, str):
        kind = _KIND_NAMES.get(type(evaluated.value), type(evaluated.value).__name__)
        return "", f"expected string output for concurrency key, got {kind}"
    if len(evaluated.value) > MAX_KEY_LENGTH:
        return "", f"the concurrency key is longer than {MAX_KEY_LENGTH} characters"
    if "\0" in evaluated.value:
        return "", "the concurrency key contains a null character"
    return evaluated.value, None


def claims_of(
    version: RegisteredVersion, step: RegisteredStep, stored: str | None
) -> Claims | None:
    """Return what a task with these stored keys asks for; None if it asks for nothing."""
    if stored is None:
        return None
    form = orjson.loads(stored)
    chain = chains_of(version).get(step.id, ())
    of_workflow = len(version.definition.concurrency)
    return Claims(
        tuple(
            _claim(GroupId(version.id, step.ordinal, number, key), strategy, number >= of_workflow)
            for number, (key, strategy) in enumerate(zip(form["keys"], chain, strict=True))
        ),
        form["priority"],
        UUID(form["arrival"]).int,
    )


@lru_cache(maxsize=20_000)
def _claim(group: GroupId, strategy: Concurrency, counts_priority: bool) -> Claim:
    """One object for all tasks of a group: a long backlog repeats it often."""
    return Claim(group, strategy.max_runs, strategy.strategy, counts_priority)


def key_variables(
    run_id: UUID, run_input: bytes, additional_metadata: str | None
) -> dict[str, bytes | str]:
    """Return what expressions of keys may refer to."""
    return {
        "input": run_input,
        "additional_metadata": additional_metadata.encode() if additional_metadata else b"",
        "workflow_run_id": str(run_id),
    }
