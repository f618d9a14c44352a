"""How long what is kept, as far as the environment decides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from engine.environment import ConfigError, Environment
from tenants.durations import parse_kept

AUDIT_DAYS = 365
_PERIOD = "SERVER_LIMITS_DEFAULT_TENANT_RETENTION_PERIOD"
_OF_KIND = {
    "events": "SERVER_RETENTION_EVENTS",
    "logs": "SERVER_RETENTION_LOGS",
    "traces": "SERVER_RETENTION_TRACES",
    "deliveries": "SERVER_RETENTION_DELIVERIES",
}
_TWO_WEEKS = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionConfig:
    """What holds for tenants that do not say otherwise; `periods` are those of single kinds."""

    is_enabled: bool = True
    """Whether what tenants have is removed at all when it is old; the audit log is in any case."""
    removes_workers_early: bool = False
    """Whether dead workers go after a day, and not only with the runs they did."""
    period: timedelta = timedelta(hours=720)
    periods: Mapping[str, timedelta] = field(
        default_factory=lambda: MappingProxyType({"deliveries": _TWO_WEEKS})
    )
    audit_days: int = AUDIT_DAYS

    def of(self, kind: str) -> timedelta:
        return self.periods.get(kind, self.period)

    @classmethod
    def from_environment(cls, env: Environment) -> RetentionConfig:
        periods = {"deliveries": _TWO_WEEKS}
        for kind, name in _OF_KIND.items():
            if env.optional(name) is not None:
                periods[kind] = _period(env, name, "")
        return cls(
            is_enabled=env.flag("SERVER_ENABLE_DATA_RETENTION", default=True),
            removes_workers_early=env.flag("SERVER_ENABLE_WORKER_RETENTION", default=False),
            period=_period(env, _PERIOD, "720h"),
            periods=MappingProxyType(periods),
            audit_days=env.integer(
                "SERVER_AUDIT_RETENTION_DAYS", AUDIT_DAYS, at_least=2, at_most=36_500
            ),
        )


def _period(env: Environment, name: str, default: str) -> timedelta:
    try:
        return parse_kept(env.text(name, default))
    except ValueError as error:
        raise ConfigError(f"{name}: {error}.") from None
