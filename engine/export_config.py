"""Where the processes send their own traces, logs and errors, as the environment says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal, Self, TypeAlias, cast
from urllib.parse import urlsplit

from engine.environment import FALSE_WORDS, ConfigError, Environment

Protocol: TypeAlias = Literal["http/protobuf", "grpc"]

PACKAGES = "the packages of requirements-export.txt"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_COLLECTOR = "SERVER_OTEL_COLLECTOR_URL"
_DSN = "SERVER_ALERTING_SENTRY_DSN"
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpConfig:
    """What is sent by OTLP. What the standard OTEL_ variables say besides, its library reads itself.

    `collector_url`, empty unless it is set, goes before the standard variables' endpoints.
    """

    sends_traces: bool
    sends_logs: bool
    protocol: Protocol
    service_name: str
    """Empty: each process by its own name."""
    collector_url: str
    is_insecure: bool
    authorization: str = field(repr=False)
    trace_ratio: float | None
    """None: as OTEL_TRACES_SAMPLER says."""

    @classmethod
    def from_environment(cls, env: Environment) -> Self | None:
        """None: nothing is sent."""
        collector_url = _url(env, _COLLECTOR)
        traces = _url(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        logs = _url(env, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
        everything = collector_url or _url(env, _ENDPOINT)
        sends_traces = bool(everything or traces) and _is_chosen(env, "OTEL_TRACES_EXPORTER")
        sends_logs = bool(everything or logs) and _is_chosen(env, "OTEL_LOGS_EXPORTER")
        is_off = env.flag("OTEL_SDK_DISABLED", default=False)
        if is_off or not (sends_traces or sends_logs):
            return None
        _need("opentelemetry.sdk", _COLLECTOR if collector_url else "OTEL_EXPORTER_OTLP_…")
        usual = "grpc" if collector_url else "http/protobuf"
        protocol = env.choice("OTEL_EXPORTER_OTLP_PROTOCOL", usual, ("http/protobuf", "grpc"))
        ratio = "SERVER_OTEL_TRACE_ID_RATIO"
        return cls(
            sends_traces=sends_traces,
            sends_logs=sends_logs,
            protocol=cast(Protocol, protocol),
            service_name=env.short_text("SERVER_OTEL_SERVICE_NAME", "", at_most=_LONGEST),
            collector_url=collector_url,
            is_insecure=env.flag("SERVER_OTEL_INSECURE", default=False),
            authorization=env.text("SERVER_OTEL_COLLECTOR_AUTH", ""),
            trace_ratio=env.fraction(ratio, 1.0) if env.optional(ratio) else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SentryConfig:
    """Where errors are reported to, and which share of them."""

    dsn: str = field(repr=False)
    environment: str
    sample_rate: float

    @classmethod
    def from_environment(cls, env: Environment) -> Self | None:
        """None: nothing is reported."""
        dsn = env.optional(_DSN) or env.optional("SENTRY_DSN") or ""
        is_on = env.flag("SERVER_ALERTING_SENTRY_ENABLED", default=bool(dsn))
        if not is_on:
            return None
        if not _is_dsn(dsn):
            raise ConfigError(f"{_DSN} must look like https://key@host/project.")
        _need("sentry_sdk", _DSN)
        return cls(
            dsn=dsn,
            environment=env.short_text(
                "SERVER_ALERTING_SENTRY_ENVIRONMENT", "development", at_most=_LONGEST
            ),
            sample_rate=env.fraction("SERVER_ALERTING_SENTRY_SAMPLE_RATE", 1.0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    otlp: OtlpConfig | None
    sentry: SentryConfig | None

    @classmethod
    def from_environment(cls, env: Environment) -> Self:
        env.refuse(
            "SERVER_OTEL_METRICS_ENABLED",
            unless=tuple(FALSE_WORDS),
            because="metrics are read from us, by Prometheus",
        )
        return cls(otlp=OtlpConfig.from_environment(env), sentry=SentryConfig.from_environment(env))


def _url(env: Environment, name: str) -> str:
    value = env.text(name, "")
    if value and not _is_url(value if "://" in value else f"http://{value}"):
        raise ConfigError(f"{name} must be a URL such as http://localhost:4318, not {value!r}.")
    return value


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_dsn(value: str) -> bool:
    return (
        _is_url(value) and bool(urlsplit(value).username) and urlsplit(value).path.strip("/") != ""
    )


def _is_chosen(env: Environment, name: str) -> bool:
    return env.choice(name, "otlp", ("otlp", "none")) == "otlp"


def _need(package: str, name: str) -> None:
    try:
        is_there = find_spec(package) is not None
    except ModuleNotFoundError:
        is_there = False
    if not is_there:
        raise ConfigError(f"{name} needs {PACKAGES}, which are not installed.")
