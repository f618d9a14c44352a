"""What the environment may say, and how a wrong word in it is answered."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from ipaddress import ip_network
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from psycopg.conninfo import conninfo_to_dict

from engine.config import Config
from engine.environment import ConfigError
from engine.pem import new_signing_key
from tests.rpc.certificates import Authority


@pytest.fixture(autouse=True)
def shared_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where root's Postgres would go, away from the machine's own directories."""
    monkeypatch.setattr("engine.postgres.SHARED_STATE", tmp_path / "state")


def read(data_dir: Path, **variables: str) -> Config:
    return Config.from_environment({"HATCHET_DATA_DIR": str(data_dir), **variables}, data_dir)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_no_variable_is_needed(tmp_path: Path) -> None:
    config = Config.from_environment({}, tmp_path)
    assert config.data_dir == tmp_path / "data"
    assert config.database_is_bundled
    assert (config.http_port, config.grpc_port) == (8080, 7070)
    assert config.server_url == "http://localhost:8080"
    assert config.grpc_broadcast_address == "127.0.0.1:7070"
    assert config.grpc_bind_address == "127.0.0.1"
    assert config.grpc_max_message_bytes == 4 * 1024 * 1024
    assert config.grpc_tls is None
    assert config.grpc_front == "grpcio"
    assert not config.cookie_is_secure
    assert config.default_tenant_slug == "default"


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert read(tmp_path, SERVER_PORT="", DATABASE_URL=" ").http_port == 8080


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    first, second = read(tmp_path), read(tmp_path)
    assert first == second
    for name in ("secret_key", "api_token_key.pem", "encryption_key", "admin_password"):
        assert mode(tmp_path / name) == 0o600
    assert len(first.admin_password) >= 20


def test_another_installation_has_other_secrets(tmp_path: Path) -> None:
    one, other = read(tmp_path / "one"), read(tmp_path / "other")
    assert one.secret_keys != other.secret_keys
    assert one.jwt_private_key != other.jwt_private_key
    assert one.admin_password != other.admin_password


def test_the_config_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(FrozenInstanceError):
        read(tmp_path).http_port = 1  # type: ignore[misc]


def test_ports_move_the_addresses_that_follow_from_them(tmp_path: Path) -> None:
    config = read(tmp_path, SERVER_PORT="9000", SERVER_GRPC_PORT="9001")
    assert config.server_url == "http://localhost:9000"
    assert config.grpc_broadcast_address == "127.0.0.1:9001"


def test_metrics_are_told_where_the_guide_says(tmp_path: Path) -> None:
    metrics = read(tmp_path).metrics
    assert (metrics.is_enabled, metrics.host, metrics.port, metrics.path) == (
        False,
        "",
        9090,
        "/metrics",
    )
    told = {
        "SERVER_PROMETHEUS_ENABLED": "true",
        "SERVER_PROMETHEUS_ADDRESS": "[::1]:9999",
        "SERVER_PROMETHEUS_PATH": "/custom-metrics",
    }
    metrics = read(tmp_path, **told).metrics
    assert metrics.is_enabled
    assert (metrics.host, metrics.port, metrics.path) == ("::1", 9999, "/custom-metrics")


def test_an_https_url_makes_the_cookie_secure(tmp_path: Path) -> None:
    config = read(tmp_path, SERVER_URL="https://hatchet.example.com/")
    assert config.server_url == "https://hatchet.example.com"
    assert config.cookie_is_secure
    assert "hatchet.example.com" in config.allowed_hosts
    insecure = read(tmp_path, SERVER_URL="https://h.example", SERVER_AUTH_COOKIE_INSECURE="t")
    assert not insecure.cookie_is_secure


def test_proxies_on_this_machine_are_trusted_and_others_must_be_named(tmp_path: Path) -> None:
    assert read(tmp_path).trusted_proxies == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    named = read(tmp_path, SERVER_TRUSTED_PROXIES="10.1.2.3, fd00::/8").trusted_proxies
    assert named == (ip_network("10.1.2.3/32"), ip_network("fd00::/8"))
    assert read(tmp_path, SERVER_TRUSTED_PROXIES="none").trusted_proxies == ()


def test_a_given_database_is_used_as_it_is(tmp_path: Path) -> None:
    url = "postgresql://user:p%40ss@db.example:5433/work?sslmode=require&keepalives_idle=60"
    config = read(tmp_path, DATABASE_URL=url)
    used = conninfo_to_dict(config.database_url)
    assert used.items() >= conninfo_to_dict(url).items()
    assert "tcp_user_timeout" in used
    assert not config.database_is_bundled
    assert not (tmp_path / "postgres.password").exists()


def test_a_database_may_be_given_in_parts(tmp_path: Path) -> None:
    config = read(tmp_path, DATABASE_POSTGRES_HOST="db", DATABASE_POSTGRES_PASSWORD="a b")
    assert "host=db" in config.database_url
    assert "password='a b'" in config.database_url
    assert "keepalives_idle=10" in config.database_url


def test_the_seed_of_the_first_start_can_be_chosen(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        ADMIN_EMAIL="me@example.org",
        ADMIN_PASSWORD="mine",
        DEFAULT_TENANT_ID="707d0855-80ab-4e1f-a156-f1c4546cbf52",
    )
    assert (config.admin_email, config.admin_password) == ("me@example.org", "mine")
    assert config.default_tenant_id == UUID("707d0855-80ab-4e1f-a156-f1c4546cbf52")
    assert not (tmp_path / "admin_password").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVER_PORT", "0"),
        ("SERVER_PORT", "65536"),
        ("SERVER_PORT", "http"),
        ("SERVER_PORT", "-1"),
        ("SERVER_PORT", "٣"),
        ("SERVER_GRPC_PORT", "7070.5"),
        ("SERVER_PROMETHEUS_ENABLED", "perhaps"),
        ("SERVER_PROMETHEUS_ADDRESS", "9090"),
        ("SERVER_PROMETHEUS_ADDRESS", ":0"),
        ("SERVER_PROMETHEUS_ADDRESS", ":65536"),
        ("SERVER_PROMETHEUS_ADDRESS", "http://localhost:9090"),
        ("SERVER_PROMETHEUS_ADDRESS", "a b:9090"),
        ("SERVER_PROMETHEUS_PATH", "metrics"),
        ("SERVER_PROMETHEUS_PATH", "/a?b"),
        ("SERVER_URL", "localhost:8080"),
        ("SERVER_URL", "http://"),
        ("SERVER_URL", "http://host:port"),
        ("SERVER_URL", "ftp://host"),
        ("SERVER_URL", "https://host/hatchet"),
        ("SERVER_URL", "https://host?a=b"),
        ("SERVER_URL", "https://host?"),
        ("SERVER_URL", "https://host#a"),
        ("SERVER_URL", "https://user:password@host"),
        ("SERVER_URL", "https://user@host"),
        ("SERVER_URL", "https://a host"),
        ("SERVER_URL", "https://*.example.com"),
        ("SERVER_URL", "https://host:70000"),
        ("SERVER_ALLOWED_HOSTS", "https://host"),
        ("SERVER_ALLOWED_HOSTS", "host:8080"),
        ("SERVER_ALLOWED_HOSTS", "*.example.com"),
        ("SERVER_ALLOWED_ORIGINS", "example.com"),
        ("SERVER_ALLOWED_ORIGINS", "https://example.com/app"),
        ("SERVER_ALLOWED_ORIGINS", "https://ok.example, ftp://example.com"),
        ("SERVER_TRUSTED_PROXIES", "proxy.example.com"),
        ("SERVER_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("SERVER_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("SERVER_TRUSTED_PROXIES", "*"),
        ("SERVER_GRPC_BROADCAST_ADDRESS", "localhost"),
        ("SERVER_GRPC_BROADCAST_ADDRESS", "http://localhost:7070"),
        ("SERVER_GRPC_BROADCAST_ADDRESS", ":7070"),
        ("SERVER_GRPC_INSECURE", "maybe"),
        ("SERVER_GRPC_MAX_MSG_SIZE", "12"),
        ("SERVER_GRPC_FRONT", "nginx"),
        ("SERVER_TLS_STRATEGY", "ssl"),
        ("SERVER_TLS_CERT_FILE", "/nowhere/cert.pem"),
        ("SERVER_GRPC_BROADCAST_ADDRESS", "a:b:7070"),
        ("SERVER_GRPC_BROADCAST_ADDRESS", "host:٣"),
        ("SERVER_AUTH_COOKIE_INSECURE", "si"),
        ("SERVER_AUTH_COOKIE_NAME", "a b"),
        ("SERVER_AUTH_COOKIE_NAME", "a;b"),
        ("SERVER_AUTH_COOKIE_DOMAIN", "https://example.com"),
        ("SERVER_AUTH_COOKIE_DOMAIN", "a.example b.example"),
        ("SERVER_AUTH_COOKIE_DOMAIN", "*"),
        ("SERVER_AUTH_COOKIE_SECRETS", "a"),
        ("SERVER_AUTH_COOKIE_SECRETS", "change-me"),
        ("SERVER_AUTH_COOKIE_SECRETS", "0123456789abcdef short"),
        ("SERVER_AUTH_COOKIE_SECRETS", "a" * 32),
        ("SERVER_ENCRYPTION_JWT_PRIVATE_KEYSET", "not a key"),
        ("SERVER_ENCRYPTION_MASTER_KEYSET", "short"),
        ("SERVER_ENCRYPTION_MASTER_KEYSET", "new-0123456789ab short"),
        ("ADMIN_EMAIL", "admin"),
        ("ADMIN_EMAIL", "a" * 250 + "@b.cd"),
        ("ADMIN_NAME", "a" * 201),
        ("DEFAULT_TENANT_NAME", "a" * 201),
        ("DEFAULT_TENANT_SLUG", "a" * 201),
        ("DEFAULT_TENANT_SLUG", "a/b"),
        ("DEFAULT_TENANT_SLUG", "ä"),
        ("DEFAULT_TENANT_ID", "1"),
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_URL", "postgresql://host"),
        ("DATABASE_POSTGRES_PORT", "x"),
        ("DATABASE_POSTGRES_SSL_MODE", "maybe"),
        ("SERVER_LOGGER_LEVEL", "loud"),
        ("SERVER_LOGGER_FORMAT", "xml"),
        ("SERVER_MSGQUEUE_KIND", "rabbitmq"),
        ("SERVER_ENCRYPTION_CLOUDKMS_ENABLED", "true"),
        ("SERVER_AUTH_GOOGLE_ENABLED", "true"),
        ("SERVER_AUTH_OIDC_ENABLED", "true"),
        ("SERVER_AUTH_BASIC_AUTH_ENABLED", "false"),
        ("SERVER_EMAIL_KIND", "pigeon"),
        ("SERVER_EMAIL_KIND", "smtp"),
        ("SERVER_EMAIL_KIND", "resend"),
        ("DATABASE_PGBOUNCER_ENABLED", "1"),
        ("HATCHET_DATA_DIR", "/proc/nowhere"),
    ],
)
def test_a_wrong_value_is_named_in_one_sentence(tmp_path: Path, name: str, value: str) -> None:
    given = {"DATABASE_POSTGRES_HOST": "db"} if name.startswith("DATABASE_POSTGRES") else {}
    with pytest.raises(ConfigError) as failure:
        read(tmp_path, **{**given, name: value})
    message = str(failure.value)
    assert name in message
    assert message.endswith(".")
    assert "\n" not in message


def test_both_ports_must_differ(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="both 7070"):
        read(tmp_path, SERVER_PORT="7070")


class TestTls:
    def test_plaintext_must_be_asked_for_by_saying_nothing_or_insecure(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigError, match="SERVER_TLS_CERT"):
            read(tmp_path, SERVER_GRPC_INSECURE="false")
        with pytest.raises(ConfigError, match="SERVER_TLS_KEY"):
            read(tmp_path, SERVER_TLS_CERT="cert")

    def test_a_certificate_turns_it_on(self, tmp_path: Path) -> None:
        certificate, key = Authority().issue("engine")
        (tmp_path / "key.pem").write_text(key)
        given = {"SERVER_TLS_CERT": certificate, "SERVER_TLS_KEY_FILE": str(tmp_path / "key.pem")}
        tls = read(tmp_path, **given).grpc_tls
        assert tls is not None
        assert (tls.certificate.strip(), tls.private_key, tls.client_ca) == (
            certificate.strip(),
            key,
            None,
        )
        assert read(tmp_path, **given, SERVER_GRPC_INSECURE="t").grpc_tls is None

    def test_mutual_tls_needs_a_client_ca(self, tmp_path: Path) -> None:
        authority = Authority()
        certificate, key = authority.issue("engine")
        given = {
            "SERVER_TLS_CERT": certificate,
            "SERVER_TLS_KEY": key,
            "SERVER_TLS_STRATEGY": "mtls",
        }
        with pytest.raises(ConfigError, match="SERVER_TLS_ROOT_CA"):
            read(tmp_path, **given)
        with pytest.raises(ConfigError, match="SERVER_TLS_ROOT_CA must be a certificate"):
            read(tmp_path, **given, SERVER_TLS_ROOT_CA="ca")
        tls = read(tmp_path, **given, SERVER_TLS_ROOT_CA=authority.certificate).grpc_tls
        assert tls is not None
        assert tls.client_ca == authority.certificate.strip()

    def test_certificate_and_key_are_read_and_must_belong_together(self, tmp_path: Path) -> None:
        certificate, key = Authority().issue("engine")
        _, other = Authority().issue("engine")
        with pytest.raises(ConfigError, match="SERVER_TLS_CERT must be a certificate"):
            read(tmp_path, SERVER_TLS_CERT="nonsense", SERVER_TLS_KEY=key)
        for wrong in ("nonsense", other, encrypted(key)):
            with pytest.raises(ConfigError, match="SERVER_TLS_KEY must be"):
                read(tmp_path, SERVER_TLS_CERT=certificate, SERVER_TLS_KEY=wrong)


class TestFront:
    def test_native_has_no_tls(self, tmp_path: Path) -> None:
        certificate, key = Authority().issue("engine")
        given = {"SERVER_TLS_CERT": certificate, "SERVER_TLS_KEY": key}
        with pytest.raises(ConfigError, match="SERVER_GRPC_FRONT=native has no TLS"):
            read(tmp_path, **given, SERVER_GRPC_FRONT="native")
        assert read(tmp_path, **given, SERVER_GRPC_FRONT="grpcio").grpc_front == "grpcio"
        plain = read(tmp_path, **given, SERVER_GRPC_FRONT="native", SERVER_GRPC_INSECURE="true")
        assert plain.grpc_front == "native"

    def test_native_needs_its_package(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engine.config.find_spec", lambda _name: None)
        with pytest.raises(ConfigError, match="SERVER_GRPC_FRONT=native needs the package"):
            read(tmp_path, SERVER_GRPC_FRONT="native")
        assert read(tmp_path).grpc_front == "grpcio"


class TestSharedSecrets:
    """Several machines on one database must be given the same keys."""

    def test_keys_come_from_variables(self, tmp_path: Path) -> None:
        key = new_signing_key()
        config = read(
            tmp_path,
            SERVER_ENCRYPTION_JWT_PRIVATE_KEYSET=key.replace("\n", "\\n"),
            SERVER_AUTH_COOKIE_SECRETS="new-0123456789ab old-0123456789ab",
            SERVER_ENCRYPTION_MASTER_KEYSET="later-0123456789ab,older-0123456789ab",
        )
        assert config.jwt_private_key.strip() == key.strip()
        assert config.secret_keys == ("new-0123456789ab", "old-0123456789ab")
        assert config.encryption_keys == ("later-0123456789ab", "older-0123456789ab")
        assert not (tmp_path / "api_token_key.pem").exists()
        assert not (tmp_path / "encryption_key").exists()

    def test_only_a_p256_key_will_do(self, tmp_path: Path) -> None:
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        with pytest.raises(ConfigError, match="P-256"):
            read(tmp_path, SERVER_ENCRYPTION_JWT_PRIVATE_KEYSET=other.decode())

    def test_a_key_with_a_password_will_not(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="without a password"):
            read(tmp_path, SERVER_ENCRYPTION_JWT_PRIVATE_KEYSET=encrypted(new_signing_key()))

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe"])
    @pytest.mark.parametrize(
        "name", ["secret_key", "api_token_key.pem", "encryption_key", "admin_password"]
    )
    def test_a_damaged_secret_is_not_used(self, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match="HATCHET_DATA_DIR"):
            read(tmp_path)

    def test_a_public_key_must_belong_to_the_private_one(self, tmp_path: Path) -> None:
        mine, other = new_signing_key(), new_signing_key()
        with pytest.raises(ConfigError, match="needs SERVER_ENCRYPTION_JWT_PRIVATE_KEYSET"):
            read(tmp_path, SERVER_ENCRYPTION_JWT_PUBLIC_KEYSET=public_half(mine))
        given = {"SERVER_ENCRYPTION_JWT_PRIVATE_KEYSET": mine}
        read(tmp_path, **given, SERVER_ENCRYPTION_JWT_PUBLIC_KEYSET=public_half(mine))
        with pytest.raises(ConfigError, match="not the PEM public half"):
            read(tmp_path, **given, SERVER_ENCRYPTION_JWT_PUBLIC_KEYSET=public_half(other))

    def test_a_value_and_a_file_exclude_each_other(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="both set"):
            read(tmp_path, SERVER_TLS_CERT="a", SERVER_TLS_CERT_FILE="b")


def encrypted(private_pem: str) -> str:
    key = load_pem_private_key(private_pem.encode(), None)
    secret = BestAvailableEncryption(b"secret")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret).decode()


def public_half(private_pem: str) -> str:
    key = load_pem_private_key(private_pem.encode(), None).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
