"""Concurrency strategies as definitions bring them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.cel.expressions import Environment, compile_expression
from engine.domain.concurrency import shared_strategies_of
from engine.domain.definition import Concurrency, WorkflowDefinition
from engine.errors import InvalidArgument
from engine.pb.v1 import workflows_pb2 as pb
from engine.rpc.parse import check_count, parse_key
from engine.states import ConcurrencyStrategy

_MOST_STRATEGIES = 100


def parse_concurrency(strategies: Sequence[pb.Concurrency], where: str) -> tuple[Concurrency, ...]:
    """Return the strategies in order. InvalidArgument for what is wrong and for what nothing honours yet."""
    check_count(strategies, _MOST_STRATEGIES, f"{where}: concurrency")
    return tuple(_parse(strategy, f"{where}: concurrency") for strategy in strategies)


def check_shared(definition: WorkflowDefinition) -> None:
    """Refuse names of strategies under which a task would wait for itself, or which mean two things."""
    known: dict[str, Concurrency] = {}
    for strategy in shared_strategies_of(definition):
        if known.setdefault(strategy.name, strategy) != strategy:
            raise InvalidArgument(
                f'concurrency: the tenant-scoped strategy "{strategy.name}" is declared twice, differently'
            )
    for step in definition.steps:
        names = [s.name for s in (*definition.concurrency, *step.concurrency) if s.name]
        for name in names:
            if names.count(name) > 1:
                raise InvalidArgument(
                    f"task {step.readable_id}: the tenant-scoped concurrency strategy"
                    f' "{name}" applies to it twice'
                )


def _parse(strategy: pb.Concurrency, where: str) -> Concurrency:
    number = int(strategy.limit_strategy)
    if number not in {int(known) for known in ConcurrencyStrategy}:
        raise InvalidArgument(
            f"{where}: not supported yet: limit_strategy {_strategy_name(number)}"
        )
    compile_expression(strategy.expression, Environment.KEY, f"{where} expression")
    if strategy.HasField("max_runs_expression"):
        compile_expression(
            strategy.max_runs_expression, Environment.KEY, f"{where}: max_runs_expression", int
        )
    max_runs = strategy.max_runs if strategy.HasField("max_runs") else 1
    if max_runs < 1:
        raise InvalidArgument(f"{where}: max_runs must be at least 1")
    return Concurrency(
        strategy.expression,
        max_runs,
        ConcurrencyStrategy(strategy.limit_strategy),
        strategy.max_runs_expression,
        # Elsewhere a name is a label for people.
        parse_key(strategy.name, f"{where}: name") if strategy.is_tenant_scoped else "",
    )


def _strategy_name(number: int) -> str:
    known: dict[int, str] = {
        value.number: value.name for value in pb.ConcurrencyLimitStrategy.DESCRIPTOR.values
    }
    return known.get(number, str(number))
