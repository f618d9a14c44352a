"""The configuration: read once from the environment, validated, frozen.

No variable is needed to start. What has no documented default that is safe (passwords, keys) is made
at the first start and kept in the data directory, readable by its owner alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from engine import pem, secret_files
from engine.alerting_config import AlertingConfig
from engine.environment import FALSE_WORDS, ConfigError, Environment
from engine.export_config import ExportConfig
from engine.limits_config import enforced_limits
from engine.mail_config import MailConfig
from engine.metrics_config import MetricsConfig
from engine.payload_config import PayloadConfig
from engine.people_config import PeopleConfig
from engine.postgres import BundledPostgres, home_for
from engine.retention_config import RetentionConfig
from engine.secret_files import random_text
from engine.sign_in_config import SignInConfig
from engine.tracing_config import TracingConfig
from tenants.resources import Limit, Resource

MEBIBYTE = 1024 * 1024
MAX_MESSAGE_BYTES = 4 * MEBIBYTE
"""What clients and engines send and accept at most unless they are told otherwise."""
LOOPBACK = "127.0.0.0/8 ::1/128"
SHORTEST_SECRET = 16
FEWEST_CHARACTERS = 5
"""How many different ones a secret has at least."""
MOST_WEB_PROCESSES = 64
LONGEST_NAME = 200
_BROADCAST = "SERVER_GRPC_BROADCAST_ADDRESS"
_ALLOWED_NETWORKS = "SERVER_WEBHOOKS_ALLOWED_PRIVATE_NETWORKS"
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_NOTICED: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""A database that became unreachable is noticed within half a minute; what the operator says goes first."""


GrpcFront: TypeAlias = Literal["grpcio", "native"]
"""What speaks HTTP/2 on the gRPC port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """PEM texts of the gRPC server. With a client CA every client must present a certificate."""

    certificate: str
    private_key: str
    client_ca: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything the environment decides. `grpc_tls` is None for a plaintext port."""

    data_dir: Path
    database_url: str
    database_is_bundled: bool

    server_url: str
    http_port: int
    http_bind_address: str
    web_processes: int
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    """Patterns of origins whose pages may call the API with a token; none: any."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    """Who is believed when it tells for whom it asks."""

    grpc_port: int
    grpc_bind_address: str
    grpc_broadcast_address: str
    grpc_max_message_bytes: int
    grpc_tls: TlsConfig | None
    grpc_front: GrpcFront

    cookie_name: str
    cookie_domain: str | None
    cookie_is_secure: bool
    secret_keys: tuple[str, ...]
    jwt_private_key: str
    """PEM of the P-256 key that signs API tokens."""
    encryption_keys: tuple[str, ...]
    """Secrets that other people's secrets are encrypted with; the first encrypts, all of them decrypt."""

    payloads: PayloadConfig

    webhooks_allowed_networks: tuple[IPv4Network | IPv6Network, ...]
    """Private and local networks that messages may be sent to all the same."""

    admin_email: str
    admin_password: str
    admin_name: str
    default_tenant_id: UUID | None
    default_tenant_name: str
    default_tenant_slug: str

    mail: MailConfig
    alerting: AlertingConfig
    people: PeopleConfig
    sign_in: SignInConfig
    retention: RetentionConfig
    tracing: TracingConfig | None
    """None: no spans are taken, and workers are told of no traces."""
    limits: Mapping[Resource, Limit]
    """What every tenant may have only so much of; nothing unless limits are enforced."""

    metrics: MetricsConfig
    log_level: str
    log_format: str
    exports: ExportConfig

    @classmethod
    def from_environment(cls, variables: Mapping[str, str], base_dir: Path) -> Config:
        """Raise ConfigError for the first wrong value."""
        env = _supported(Environment(variables))
        data_dir = _data_dir(env, base_dir)
        http_port, grpc_port = _ports(env)
        server_url = env.http_url("SERVER_URL", f"http://localhost:{http_port}")
        database_url = _database_url(env)
        grpc_tls = _grpc_tls(env)
        payloads = PayloadConfig.from_environment(env, data_dir)
        return cls(
            data_dir=data_dir,
            database_url=database_url or BundledPostgres(home_for(data_dir)).url,
            database_is_bundled=database_url is None,
            server_url=server_url,
            http_port=http_port,
            http_bind_address=env.text("SERVER_BIND_ADDRESS", "127.0.0.1"),
            web_processes=_web_processes(env),
            allowed_hosts=_allowed_hosts(env, server_url),
            allowed_origins=env.origins("SERVER_ALLOWED_ORIGINS"),
            trusted_proxies=env.networks("SERVER_TRUSTED_PROXIES", LOOPBACK),
            grpc_port=grpc_port,
            grpc_bind_address=env.text("SERVER_GRPC_BIND_ADDRESS", "127.0.0.1"),
            grpc_broadcast_address=env.host_and_port(_BROADCAST, f"127.0.0.1:{grpc_port}"),
            grpc_max_message_bytes=_message_bytes(env),
            grpc_tls=grpc_tls,
            grpc_front=_grpc_front(env, grpc_tls),
            cookie_name=env.cookie_name("SERVER_AUTH_COOKIE_NAME", "hatchet"),
            cookie_domain=_cookie_domain(env),
            cookie_is_secure=_cookie_is_secure(env, server_url),
            secret_keys=_secret_keys(env, data_dir),
            jwt_private_key=_jwt_private_key(env, data_dir),
            encryption_keys=_encryption_keys(env, data_dir),
            payloads=payloads,
            webhooks_allowed_networks=env.networks(_ALLOWED_NETWORKS, "none"),
            admin_email=env.email("ADMIN_EMAIL", "admin@example.com"),
            admin_password=_admin_password(env, data_dir),
            admin_name=_name(env, "ADMIN_NAME", "Admin"),
            default_tenant_id=env.uuid("DEFAULT_TENANT_ID"),
            default_tenant_name=_name(env, "DEFAULT_TENANT_NAME", "Default"),
            default_tenant_slug=env.slug("DEFAULT_TENANT_SLUG", "default", at_most=LONGEST_NAME),
            log_level=env.choice("SERVER_LOGGER_LEVEL", "info", ("debug", "info", "warn", "error")),
            log_format=env.choice("SERVER_LOGGER_FORMAT", "console", ("console", "json")),
            **_parts(env, payloads),
        )


def _parts(env: Environment, payloads: PayloadConfig) -> dict[str, Any]:
    """Return what has a class of its own."""
    return {
        "mail": MailConfig.from_environment(env),
        "alerting": AlertingConfig.from_environment(env),
        "people": PeopleConfig.from_environment(env),
        "sign_in": SignInConfig.from_environment(env),
        "retention": RetentionConfig.from_environment(env),
        "tracing": TracingConfig.from_environment(env, keeps_payloads=not payloads.encrypts),
        "metrics": MetricsConfig.from_environment(env),
        "limits": enforced_limits(env),
        "exports": ExportConfig.from_environment(env),
    }


def _supported(env: Environment) -> Environment:
    """Refuse what is asked for and not supported."""
    off = tuple(FALSE_WORDS)
    env.refuse(
        "SERVER_MSGQUEUE_KIND", unless=("postgres",), because="Postgres carries the messages"
    )
    env.refuse(
        "SERVER_ENCRYPTION_CLOUDKMS_ENABLED", unless=off, because="keys are files or variables"
    )
    env.refuse(
        "DATABASE_PGBOUNCER_ENABLED",
        unless=off,
        because="point DATABASE_URL at Postgres itself for now",
    )
    return env


def _ports(env: Environment) -> tuple[int, int]:
    """Of HTTP and of gRPC."""
    http_port, grpc_port = env.port("SERVER_PORT", 8080), env.port("SERVER_GRPC_PORT", 7070)
    if http_port == grpc_port:
        raise ConfigError(f"SERVER_PORT and SERVER_GRPC_PORT are both {http_port}.")
    return http_port, grpc_port


def _data_dir(env: Environment, base_dir: Path) -> Path:
    path = Path(env.text("HATCHET_DATA_DIR", str(base_dir / "data"))).expanduser().absolute()
    try:
        # Root lets the account of the bundled Postgres pass through; the secrets have modes of their own.
        path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"HATCHET_DATA_DIR: cannot make the directory {path}: {error}.") from None
    return path


def _database_url(env: Environment) -> str | None:
    """The given database, from one URL or from its parts; None: the bundled one."""
    url = env.optional("DATABASE_URL")
    if url is None:
        host = env.optional("DATABASE_POSTGRES_HOST")
        if host is None:
            return None
        return make_conninfo(
            **_NOTICED,
            host=host,
            port=env.port("DATABASE_POSTGRES_PORT", 5432),
            user=env.text("DATABASE_POSTGRES_USERNAME", "hatchet"),
            password=env.text("DATABASE_POSTGRES_PASSWORD", "hatchet"),
            dbname=env.text("DATABASE_POSTGRES_DB_NAME", "hatchet"),
            sslmode=env.choice("DATABASE_POSTGRES_SSL_MODE", "prefer", _SSL_MODES),
        )
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = {}
    if not parts.get("dbname"):
        raise ConfigError(
            "DATABASE_URL must look like postgresql://user:password@host:5432/database."
        )
    return make_conninfo(**(_NOTICED | parts))


def _allowed_hosts(env: Environment, server_url: str) -> tuple[str, ...]:
    own = urlsplit(server_url).hostname or "localhost"
    own = f"[{own}]" if ":" in own else own
    return (own, "localhost", "127.0.0.1", "[::1]", *env.host_names("SERVER_ALLOWED_HOSTS"))


def _cookie_domain(env: Environment) -> str | None:
    name = "SERVER_AUTH_COOKIE_DOMAIN"
    domains = env.host_names(name)
    if len(domains) > 1 or "*" in domains:
        raise ConfigError(f"{name} must be one name such as example.com.")
    return domains[0] if domains else None


def _cookie_is_secure(env: Environment, server_url: str) -> bool:
    is_https = server_url.startswith("https://")
    return not env.flag("SERVER_AUTH_COOKIE_INSECURE", default=not is_https)


def _admin_password(env: Environment, data_dir: Path) -> str:
    return env.optional("ADMIN_PASSWORD") or _kept_secret(data_dir, "admin_password")


def _web_processes(env: Environment) -> int:
    return env.integer("SERVER_WEB_PROCESSES", 1, at_least=1, at_most=MOST_WEB_PROCESSES)


def _message_bytes(env: Environment) -> int:
    """Less would not hold the longest lists of ids that answers consist of."""
    name = "SERVER_GRPC_MAX_MSG_SIZE"
    return env.integer(name, MAX_MESSAGE_BYTES, at_least=MEBIBYTE, at_most=512 * MEBIBYTE)


def _grpc_tls(env: Environment) -> TlsConfig | None:
    certificate = env.text_or_file("SERVER_TLS_CERT")
    private_key = env.text_or_file("SERVER_TLS_KEY")
    strategy = env.choice(
        "SERVER_TLS_STRATEGY", "tls" if certificate else "none", ("none", "tls", "mtls")
    )
    if env.flag("SERVER_GRPC_INSECURE", default=strategy == "none"):
        return None
    if certificate is None or private_key is None:
        missing = "SERVER_TLS_CERT" if certificate is None else "SERVER_TLS_KEY"
        raise ConfigError(
            f"{missing} (or {missing}_FILE) is needed for TLS on the gRPC port; "
            "set SERVER_GRPC_INSECURE=true for plaintext."
        )
    client_ca = env.text_or_file("SERVER_TLS_ROOT_CA") if strategy == "mtls" else None
    if strategy == "mtls" and client_ca is None:
        raise ConfigError("SERVER_TLS_ROOT_CA (or _FILE) is needed for SERVER_TLS_STRATEGY=mtls.")
    certified = pem.certified_key(certificate)
    if certified is None:
        raise ConfigError("SERVER_TLS_CERT must be a certificate in PEM form.")
    if pem.public_half(private_key) != certified:
        raise ConfigError(
            "SERVER_TLS_KEY must be the PEM private key of SERVER_TLS_CERT, without a password."
        )
    if client_ca is not None and pem.certified_key(client_ca) is None:
        raise ConfigError("SERVER_TLS_ROOT_CA must be a certificate in PEM form.")
    return TlsConfig(certificate=certificate, private_key=private_key, client_ca=client_ca)


def _grpc_front(env: Environment, tls: TlsConfig | None) -> GrpcFront:
    name = "SERVER_GRPC_FRONT"
    front = cast(GrpcFront, env.choice(name, "grpcio", ("grpcio", "native")))
    if front == "native" and tls is not None:
        raise ConfigError(f"{name}=native has no TLS: leave it at grpcio, or the certificate out.")
    if front == "native" and find_spec("pygrpc_native") is None:
        raise ConfigError(f"{name}=native needs the package pygrpc-native, which is not installed.")
    return front


def _secret_keys(env: Environment, data_dir: Path) -> tuple[str, ...]:
    """The first signs cookies; the others are still accepted, so that keys can be renewed."""
    name = "SERVER_AUTH_COOKIE_SECRETS"
    given = env.words(name)
    _refuse_weak(name, given)
    return given or (_kept_secret(data_dir, "secret_key"),)


def _encryption_keys(env: Environment, data_dir: Path) -> tuple[str, ...]:
    name = "SERVER_ENCRYPTION_MASTER_KEYSET"
    given = tuple((env.text_or_file(name) or "").replace(",", " ").split())
    _refuse_weak(name, given)
    return given or (_kept_secret(data_dir, "encryption_key"),)


def _refuse_weak(name: str, secrets: tuple[str, ...]) -> None:
    for secret in secrets:
        if len(secret) < SHORTEST_SECRET or len(set(secret)) < FEWEST_CHARACTERS:
            raise ConfigError(
                f"{name} must hold random secrets of {SHORTEST_SECRET} characters or more "
                "(`openssl rand -hex 32` makes one)."
            )


def _jwt_private_key(env: Environment, data_dir: Path) -> str:
    name = "SERVER_ENCRYPTION_JWT_PRIVATE_KEYSET"
    private = env.text_or_file(name)
    public = env.text_or_file("SERVER_ENCRYPTION_JWT_PUBLIC_KEYSET")
    if private is None:
        if public is not None:
            raise ConfigError(f"SERVER_ENCRYPTION_JWT_PUBLIC_KEYSET needs {name} beside it.")
        name = str(data_dir / "api_token_key.pem")
        private = _kept_secret(data_dir, "api_token_key.pem", pem.new_signing_key)
    half = pem.signing_key_half(private)
    if half is None:
        raise ConfigError(f"{name} must be a P-256 private key in PEM form, without a password.")
    if public is not None and pem.public_key(public) != half:
        raise ConfigError(
            f"SERVER_ENCRYPTION_JWT_PUBLIC_KEYSET is not the PEM public half of {name}."
        )
    return private


def _name(env: Environment, name: str, default: str) -> str:
    return env.short_text(name, default, at_most=LONGEST_NAME)


def _kept_secret(data_dir: Path, name: str, make: Callable[[], str] = random_text) -> str:
    path = data_dir / name
    try:
        secret = secret_files.read_or_create(path, make)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"HATCHET_DATA_DIR: cannot keep a secret there: {error}.") from None
    if not secret.strip():
        raise ConfigError(f"HATCHET_DATA_DIR: {path} holds no secret; remove it for a new one.")
    return secret
