"""Where payloads are and what encrypts them, as the environment says it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from engine.environment import ConfigError, Environment

ENCRYPTIONS = ("off", "on", "read")
STORES = ("none", "directory", "s3")
THRESHOLD_BYTES = 256 * 1024
_LEAST_BYTES, _MOST_BYTES = 1024, 512 * 1024 * 1024
_PREFIX = "SERVER_PAYLOAD_STORE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket of S3, or of what speaks like it at `endpoint_url`. Keys of objects begin with `prefix`."""

    name: str
    prefix: str = ""
    region: str | None = None
    endpoint_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadConfig:
    """`encryption` read: new payloads are stored as they come, those encrypted before stay readable."""

    encryption: str = "off"
    kms_key_id: str | None = None
    """Key of AWS KMS that encrypts data keys; None: the master keyset does."""
    threshold_bytes: int | None = None
    """Larger payloads become objects; None: no new ones do."""
    directory: Path | None = None
    bucket: Bucket | None = None

    @property
    def location(self) -> str | None:
        """Where objects are, for people; None: nowhere."""
        if self.bucket is not None:
            return f"s3://{self.bucket.name}/{self.bucket.prefix}"
        return None if self.directory is None else str(self.directory)

    @property
    def encrypts(self) -> bool:
        return self.encryption == "on"

    @property
    def is_plain(self) -> bool:
        """Whether payloads are stored as they come, and always were."""
        return self.encryption == "off" and self.location is None

    @classmethod
    def from_environment(cls, env: Environment, data_dir: Path) -> PayloadConfig:
        kind, threshold = _store(env)
        return cls(
            encryption=env.choice("SERVER_ENCRYPTION_PAYLOADS", "off", ENCRYPTIONS),
            kms_key_id=_kms_key_id(env),
            threshold_bytes=threshold,
            directory=_directory(env, data_dir) if kind == "directory" else None,
            bucket=_bucket(env) if kind == "s3" else None,
        )


def _store(env: Environment) -> tuple[str, int | None]:
    """Return the kind of store, and above how many bytes payloads go there."""
    name = f"{_PREFIX}_THRESHOLD_BYTES"
    given = env.optional(name)
    kind = env.choice(f"{_PREFIX}_KIND", "none" if given is None else "directory", STORES)
    if kind == "none":
        if given is not None:
            raise ConfigError(f"{name} needs {_PREFIX}_KIND, directory or s3.")
        return kind, None
    if given == "0":
        return kind, None
    return kind, env.integer(name, THRESHOLD_BYTES, at_least=_LEAST_BYTES, at_most=_MOST_BYTES)


def _directory(env: Environment, data_dir: Path) -> Path:
    path = env.text(f"{_PREFIX}_DIRECTORY", str(data_dir / "payloads"))
    return Path(path).expanduser().absolute()


def _bucket(env: Environment) -> Bucket:
    name = env.optional(f"{_PREFIX}_S3_BUCKET")
    if name is None:
        raise ConfigError(f"{_PREFIX}_S3_BUCKET is needed for {_PREFIX}_KIND=s3.")
    _require_boto3(f"{_PREFIX}_KIND=s3")
    prefix = (env.optional(f"{_PREFIX}_S3_PREFIX") or "").strip("/")
    endpoint = f"{_PREFIX}_S3_ENDPOINT_URL"
    return Bucket(
        name=name,
        prefix=f"{prefix}/" if prefix else "",
        region=env.optional(f"{_PREFIX}_S3_REGION"),
        endpoint_url=env.http_url(endpoint, "") if env.optional(endpoint) else None,
    )


def _kms_key_id(env: Environment) -> str | None:
    name, flag = "SERVER_ENCRYPTION_AWSKMS_KEY_ID", "SERVER_ENCRYPTION_AWSKMS_ENABLED"
    key_id = env.optional(name)
    is_on = env.flag(flag, default=False)
    if is_on and key_id is None:
        raise ConfigError(f"{name} is needed for {flag}=true.")
    if key_id is not None and not is_on:
        raise ConfigError(f"{name} needs {flag}=true.")
    if is_on:
        _require_boto3(f"{flag}=true")
    return key_id


def _require_boto3(setting: str) -> None:
    if find_spec("boto3") is None:
        raise ConfigError(f"{setting} needs boto3: install requirements-aws.txt.")
