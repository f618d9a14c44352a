"""Reading environment variables: a wrong value is a ConfigError that names its variable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

TRUE_WORDS = frozenset({"1", "t", "true", "y", "yes", "on"})
FALSE_WORDS = frozenset({"0", "f", "false", "n", "no", "off"})
HIGHEST_PORT = 65535


class ConfigError(Exception):
    """A setting that we cannot start with; the message is one sentence for the operator."""


class Environment:
    """Typed access to a mapping of variables; an empty value counts as not set."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def text(self, name: str, default: str) -> str:
        return self.optional(name) or default

    def optional(self, name: str) -> str | None:
        return self._variables.get(name, "").strip() or None

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.optional(name)
        if value is None:
            return default
        if value.lower() in TRUE_WORDS:
            return True
        if value.lower() in FALSE_WORDS:
            return False
        raise ConfigError(f"{name} must be true or false, not {value!r}.")

    def integer(self, name: str, default: int, *, at_least: int, at_most: int) -> int:
        value = self.optional(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or not at_least <= int(value) <= at_most:
            raise ConfigError(
                f"{name} must be a whole number from {at_least} to {at_most}, not {value!r}."
            )
        return int(value)

    def port(self, name: str, default: int) -> int:
        return self.integer(name, default, at_least=1, at_most=HIGHEST_PORT)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default).lower()
        if value not in allowed:
            raise ConfigError(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
        return value

    def uuid(self, name: str) -> UUID | None:
        value = self.optional(name)
        if value is None:
            return None
        try:
            return UUID(value)
        except ValueError:
            raise ConfigError(f"{name} must be a UUID, not {value!r}.") from None

    def http_url(self, name: str, default: str) -> str:
        value = self.text(name, default).rstrip("/")
        try:
            parts = urlsplit(value)
            is_right = parts.scheme in {"http", "https"} and bool(parts.hostname)
            is_right = is_right and parts.port != 0 and not (parts.query or parts.fragment)
        except ValueError:  # a port that is no number
            is_right = False
        if not is_right:
            raise ConfigError(
                f"{name} must be a URL such as https://hatchet.example.com, not {value!r}."
            )
        return value

    def host_and_port(self, name: str, default: str) -> str:
        value = self.text(name, default)
        host, colon, port = value.rpartition(":")
        if not (host and colon and port.isdigit() and 0 < int(port) <= HIGHEST_PORT) or "/" in host:
            raise ConfigError(f"{name} must look like host:port, not {value!r}.")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        return tuple((self.optional(name) or "").replace(",", " ").split())

    def text_or_file(self, name: str) -> str | None:
        """The variable itself, or the content of the file that `<name>_FILE` names."""
        value, path = self.optional(name), self.optional(f"{name}_FILE")
        if value is not None and path is not None:
            raise ConfigError(f"{name} and {name}_FILE are both set; set one of them.")
        if path is None:
            return value.replace("\\n", "\n") if value else None
        try:
            return Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{name}_FILE cannot be read: {error}.") from None

    def refuse(self, name: str, *, unless: tuple[str, ...], because: str) -> None:
        """Stop when an option of the guide is asked for that we do not have."""
        value = self.optional(name)
        if value is not None and value.lower() not in unless:
            raise ConfigError(f"{name}={value} is not supported: {because}.")
