"""Where this process tells Prometheus what it does, as the environment says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.environment import HIGHEST_PORT, ConfigError, Environment

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*):([0-9]{1,5})")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """An empty host means all addresses of the machine."""

    is_enabled: bool
    host: str
    port: int
    path: str

    @classmethod
    def from_environment(cls, env: Environment) -> MetricsConfig:
        name = "SERVER_PROMETHEUS_ADDRESS"
        address = env.text(name, ":9090")
        match = _ADDRESS.fullmatch(address)
        if match is None or not 0 < int(match[2]) <= HIGHEST_PORT:
            raise ConfigError(f"{name} must look like :9090 or 127.0.0.1:9090, not {address!r}.")
        path = env.text("SERVER_PROMETHEUS_PATH", "/metrics")
        if not _PATH.fullmatch(path):
            raise ConfigError(
                f"SERVER_PROMETHEUS_PATH must be a path such as /metrics, not {path!r}."
            )
        return cls(
            is_enabled=env.flag("SERVER_PROMETHEUS_ENABLED", default=False),
            host=match[1].strip("[]"),
            port=int(match[2]),
            path=path,
        )
