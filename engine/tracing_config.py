"""Which spans are taken from clients, as the environment says it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.environment import Environment

SPANS_PER_RUN = 10_000
SPANS_PER_MINUTE = 120_000
_MOST = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingConfig:
    """`sampling_rate` is the part of the traces that is kept; the bounds hold for each process."""

    sampling_rate: float = 1.0
    spans_per_run: int = SPANS_PER_RUN
    spans_per_minute: int = SPANS_PER_MINUTE
    """Of one tenant."""
    keeps_payloads: bool = True
    """Whether the payloads that spans bring are stored beside them, readable for whoever reads the database."""

    @classmethod
    def from_environment(cls, env: Environment, *, keeps_payloads: bool) -> TracingConfig | None:
        """None: no spans are taken."""
        is_sampling = env.flag("SERVER_SAMPLING_ENABLED", default=False)
        rate = env.fraction("SERVER_SAMPLING_RATE", 1.0)
        per_run = env.integer(
            "SERVER_TRACES_SPANS_PER_RUN", SPANS_PER_RUN, at_least=1, at_most=_MOST
        )
        per_minute = env.integer(
            "SERVER_TRACES_SPANS_PER_MINUTE", SPANS_PER_MINUTE, at_least=1, at_most=_MOST
        )
        if not env.flag("SERVER_OBSERVABILITY_ENABLED", default=True):
            return None
        return cls(
            sampling_rate=rate if is_sampling else 1.0,
            spans_per_run=per_run,
            spans_per_minute=per_minute,
            keeps_payloads=keeps_payloads,
        )
