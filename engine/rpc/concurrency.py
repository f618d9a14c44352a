"""Concurrency strategies as definitions bring them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.domain.cel import Environment, compile_expression
from engine.domain.definition import Concurrency
from engine.errors import InvalidArgument
from engine.pb.v1 import workflows_pb2 as pb
from engine.states import ConcurrencyStrategy


def parse_concurrency(strategies: Sequence[pb.Concurrency], where: str) -> tuple[Concurrency, ...]:
    """Return the strategies in order. InvalidArgument for what is wrong and for what nothing honours yet."""
    return tuple(_parse(strategy, f"{where}: concurrency") for strategy in strategies)


def _parse(strategy: pb.Concurrency, where: str) -> Concurrency:
    unsupported = list(_unsupported(strategy))
    if unsupported:
        raise InvalidArgument(f"{where}: not supported yet: {', '.join(unsupported)}")
    compile_expression(strategy.expression, Environment.KEY, f"{where} expression")
    max_runs = strategy.max_runs if strategy.HasField("max_runs") else 1
    if max_runs < 1:
        raise InvalidArgument(f"{where}: max_runs must be at least 1")
    return Concurrency(
        strategy.expression,
        max_runs,
        ConcurrencyStrategy(strategy.limit_strategy),
    )


def _unsupported(strategy: pb.Concurrency) -> Iterable[str]:
    number = int(strategy.limit_strategy)
    if number not in {int(known) for known in ConcurrencyStrategy}:
        yield f"limit_strategy {_strategy_name(number)}"
    if strategy.is_tenant_scoped:
        yield "is_tenant_scoped"
    if strategy.max_runs_expression:
        yield "max_runs_expression"


def _strategy_name(number: int) -> str:
    known: dict[int, str] = {
        value.number: value.name for value in pb.ConcurrencyLimitStrategy.DESCRIPTOR.values
    }
    return known.get(number, str(number))
