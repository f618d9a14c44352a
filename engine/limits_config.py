"""How much of what a tenant may have, as far as the environment decides it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.environment import ConfigError, Environment
from tenants.durations import parse_lifetime
from tenants.resources import MOST, NO_LIMITS, Limit, Resource

_LONGEST_WINDOW_SECONDS = 366 * 86_400
_PREFIX = "SERVER_LIMITS_DEFAULT_"
_DEFAULTS = {
    Resource.TASK_RUN: (2_000, 1_500, "24h"),
    Resource.EVENT: (1_000, 750, "24h"),
    Resource.WORKER: (4, 2, None),
    Resource.WORKER_SLOT: (4_000, 3_000, None),
    Resource.CRON: (5, 2, None),
    Resource.SCHEDULE: (1_000, 750, None),
    Resource.INCOMING_WEBHOOK: (5, 4, None),
    Resource.API_TOKEN: (20, 16, None),
}


def enforced_limits(env: Environment) -> Mapping[Resource, Limit]:
    """Return what holds for every tenant that has no limits of its own; nothing if none are enforced."""
    limits = {resource: _limit(env, resource) for resource in Resource}
    if not env.flag("SERVER_ENFORCE_LIMITS", default=False):
        return NO_LIMITS
    return MappingProxyType(limits)


def _limit(env: Environment, resource: Resource) -> Limit:
    """An alarm that is not given is that of the guide, or lower with a limit that is lower."""
    value, alarm, window = _DEFAULTS[resource]
    prefix = f"{_PREFIX}{resource.value}"
    value = env.integer(f"{prefix}_LIMIT", value, at_least=0, at_most=MOST)
    alarm = env.integer(f"{prefix}_ALARM_LIMIT", min(alarm, value), at_least=0, at_most=MOST)
    if alarm > value:
        raise ConfigError(f"{prefix}_ALARM_LIMIT is {alarm}, above the limit of {value}.")
    return Limit(value, alarm, None if window is None else _window(env, f"{prefix}_WINDOW", window))


def _window(env: Environment, name: str, default: str) -> int:
    try:
        seconds = int(parse_lifetime(env.text(name, default)).total_seconds())
    except ValueError as error:
        raise ConfigError(f"{name}: {error}.") from None
    if not 1 <= seconds <= _LONGEST_WINDOW_SECONDS:
        raise ConfigError(f"{name} must be from a second to a year.")
    return seconds
