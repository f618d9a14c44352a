"""The workflows the benchmarks register, by name of their shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from engine.pb import workflows_pb2
from engine.pb.v1 import workflows_pb2 as v1

STEP = "run"
CHAIN_LENGTH = 40
SCOPE = "bench"
LIMIT_KEY = "bench-limit"
FAR_AWAY = 1_000_000
"""A limit that is never reached: what is measured is what asking costs."""


def plain(name: str) -> v1.CreateWorkflowVersionRequest:
    """One task and nothing else."""
    return v1.CreateWorkflowVersionRequest(name=name, tasks=[_task(name, STEP)])


def stacked(name: str) -> v1.CreateWorkflowVersionRequest:
    """One task behind two concurrency limits and a rate limit, none of which ever holds it up."""
    request = plain(name)
    (task,) = request.tasks
    for expression in ("input.key", "'all'"):
        task.concurrency.append(_at_most(FAR_AWAY, expression))
    task.rate_limits.append(v1.CreateTaskRateLimit(key=LIMIT_KEY, units=1))
    return request


def keyed(name: str) -> v1.CreateWorkflowVersionRequest:
    """One task at a time for each key."""
    request = plain(name)
    request.tasks[0].concurrency.append(_at_most(1, "input.key"))
    return request


def filtered(name: str) -> v1.CreateWorkflowVersionRequest:
    """One task, started by events of the workflow's name that pass a filter as well."""
    request = plain(name)
    request.event_triggers.append(name)
    request.default_filters.append(v1.DefaultFilter(expression="has(input.sent)", scope=SCOPE))
    return request


def durable(name: str) -> v1.CreateWorkflowVersionRequest:
    """One durable task."""
    request = plain(name)
    (task,) = request.tasks
    task.is_durable = True
    task.slot_requests["durable"] = 1
    return request


def chain(name: str) -> v1.CreateWorkflowVersionRequest:
    """Many tasks, each the parent of the next."""
    steps = steps_of("chain")
    tasks = [_task(name, steps[0])]
    tasks += [_task(name, step, parents=[parent]) for parent, step in pairwise(steps)]
    return v1.CreateWorkflowVersionRequest(name=name, tasks=tasks)


SHAPES: Mapping[str, Callable[[str], v1.CreateWorkflowVersionRequest]] = {
    "plain": plain,
    "stacked": stacked,
    "keyed": keyed,
    "chain": chain,
    "durable": durable,
    "filtered": filtered,
}


def steps_of(shape: str) -> list[str]:
    """The steps of a workflow of this shape, in order."""
    return [f"step-{n}" for n in range(CHAIN_LENGTH)] if shape == "chain" else [STEP]


def limit() -> workflows_pb2.PutRateLimitRequest:
    """The rate limit that `stacked` names."""
    return workflows_pb2.PutRateLimitRequest(
        key=LIMIT_KEY, limit=FAR_AWAY, duration=workflows_pb2.HOUR
    )


def _task(name: str, step: str, parents: list[str] | None = None) -> v1.CreateTaskOpts:
    return v1.CreateTaskOpts(
        readable_id=step,
        action=f"{name}:{step}",
        timeout="30m",
        schedule_timeout="2h",
        inputs="{}",
        parents=parents,
    )


def _at_most(max_runs: int, expression: str) -> v1.Concurrency:
    return v1.Concurrency(
        expression=expression, max_runs=max_runs, limit_strategy=v1.GROUP_ROUND_ROBIN
    )
