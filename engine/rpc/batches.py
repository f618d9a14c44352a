"""Batch settings as definitions bring them, and what workers report about batches."""

from __future__ import annotations

from engine.domain.cel.expressions import Environment, compile_expression
from engine.domain.definition import Batch
from engine.errors import InvalidArgument
from engine.pb.v1 import workflows_pb2 as pb

_LARGEST_SIZE = 100_000
_LONGEST_INTERVAL_MS = 86_400_000
_MOST_RUNS = 10_000
_DEFAULTS = Batch(1)


def parse_batch(task: pb.CreateTaskOpts, where: str) -> Batch:
    """A blank key puts all tasks of the step into one group."""
    config, where = task.batch, f"{where}: batch"
    if task.is_durable:
        raise InvalidArgument(f"{where}: a durable task cannot run in batches")
    interval, runs = _DEFAULTS.max_interval_ms, _DEFAULTS.group_max_runs
    if config.HasField("batch_max_interval_ms"):
        interval = config.batch_max_interval_ms
    if config.HasField("batch_group_max_runs"):
        runs = config.batch_group_max_runs
    group_key = config.batch_group_key.strip()
    if group_key:
        compile_expression(group_key, Environment.KEY, f"{where}_group_key")
    return Batch(
        max_size=_within(config.batch_max_size, _LARGEST_SIZE, f"{where}_max_size"),
        max_interval_ms=_within(interval, _LONGEST_INTERVAL_MS, f"{where}_max_interval_ms"),
        group_key=group_key,
        group_max_runs=_within(runs, _MOST_RUNS, f"{where}_group_max_runs"),
        broadcasts=config.broadcast_output,
    )


def _within(value: int, most: int, where: str) -> int:
    if not 1 <= value <= most:
        raise InvalidArgument(f"{where} must be between 1 and {most}")
    return value
