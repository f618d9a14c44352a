"""Reading environment variables: a wrong value is a ConfigError that names its variable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

TRUE_WORDS = frozenset({"1", "t", "true", "y", "yes", "on"})
FALSE_WORDS = frozenset({"0", "f", "false", "n", "no", "off"})
HIGHEST_PORT = 65535
LONGEST_EMAIL = 254
_PLAIN = re.IGNORECASE | re.ASCII
_LABEL = r"[a-z0-9*_]([a-z0-9*_-]*[a-z0-9*_])?"
_HOST = rf"({_LABEL}(\.{_LABEL})*|\[[0-9a-f:.]+\])"
_HOST_NAME = re.compile(rf"\.?{_HOST}", _PLAIN)
_ORIGIN = re.compile(rf"\*|https?://{_HOST}(:[0-9*]{{1,5}})?", _PLAIN)
_HOST_AND_PORT = re.compile(rf"{_HOST}:([0-9]{{1,5}})", _PLAIN)
_COOKIE_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SLUG = re.compile(r"[A-Za-z0-9_-]+")


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

    def fraction(self, name: str, default: float) -> float:
        value = self.optional(name)
        try:
            number = default if value is None else float(value)
        except ValueError:
            number = -1.0
        if not 0.0 <= number <= 1.0:
            raise ConfigError(f"{name} must be a number from 0 to 1, not {value!r}.")
        return number

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
        """The scheme, host and port of a site. Every path below it is ours, so it has none itself."""
        value = self.text(name, default).rstrip("/")
        try:
            parts = urlsplit(value)
            is_right = parts.scheme in {"http", "https"} and bool(parts.hostname)
            is_right = is_right and parts.port != 0
            is_right = is_right and value == f"{parts.scheme}://{parts.netloc}"
            host = _host_of(value)
            is_right = is_right and "*" not in host and not host.startswith(".")
            is_right = is_right and _HOST_NAME.fullmatch(host) is not None
        except ValueError:  # a port that is no number
            is_right = False
        if not is_right:
            raise ConfigError(
                f"{name} must be a URL such as https://hatchet.example.com, "
                f"without a path, a query or a password, not {value!r}."
            )
        return value

    def host_and_port(self, name: str, default: str) -> str:
        value = self.text(name, default)
        match = _HOST_AND_PORT.fullmatch(value)
        if match is None or "*" in value or not 0 < int(match.groups()[-1]) <= HIGHEST_PORT:
            raise ConfigError(f"{name} must look like host:port, not {value!r}.")
        return value

    def host_names(self, name: str) -> tuple[str, ...]:
        """Host names without scheme and port; `*` alone, or a dot in front for all below a domain."""
        names = self.words(name)
        for value in names:
            if value != "*" and ("*" in value or not _HOST_NAME.fullmatch(value)):
                raise ConfigError(f"{name} must hold names such as example.com, not {value!r}.")
        return names

    def origins(self, name: str) -> tuple[str, ...]:
        origins = tuple(value.rstrip("/") for value in self.words(name))
        for value in origins:
            if not _ORIGIN.fullmatch(value):
                raise ConfigError(
                    f"{name} must hold origins such as https://*.example.com, not {value!r}."
                )
        return origins

    def networks(self, name: str, default: str) -> tuple[IPv4Network | IPv6Network, ...]:
        """Addresses and networks; `none` for no address at all."""
        words = self.words(name) or tuple(default.split())
        if words == ("none",):
            return ()
        try:
            return tuple(ip_network(word) for word in words)
        except ValueError as error:
            raise ConfigError(
                f"{name} must hold addresses or networks such as 10.0.0.0/8: {error}."
            ) from None

    def cookie_name(self, name: str, default: str) -> str:
        value = self.text(name, default)
        if not _COOKIE_NAME.fullmatch(value):
            raise ConfigError(f"{name} must be a word that names a cookie, not {value!r}.")
        return value

    def slug(self, name: str, default: str, *, at_most: int) -> str:
        value = self.short_text(name, default, at_most=at_most)
        if not _SLUG.fullmatch(value):
            raise ConfigError(f"{name} must be of letters, digits, - and _, not {value!r}.")
        return value

    def short_text(self, name: str, default: str, *, at_most: int) -> str:
        value = self.text(name, default)
        if len(value) > at_most:
            raise ConfigError(f"{name} must have at most {at_most} characters.")
        return value

    def email(self, name: str, default: str) -> str:
        value = self.short_text(name, default, at_most=LONGEST_EMAIL)
        before, at, after = value.rpartition("@")
        is_right = before and at and after and value.isprintable() and " " not in value
        if value != default and not is_right:
            raise ConfigError(f"{name} must be an e-mail address, not {value!r}.")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        return tuple((self.optional(name) or "").replace(",", " ").split())

    def listed(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Words, or a list of JSON as the guide writes it."""
        words = tuple(word.strip('[]"') for word in self.words(name))
        return tuple(word for word in words if word) or default

    def needed(self, prefix: str, end: str) -> str:
        """What has to be there as soon as what the prefix names is switched on."""
        value = (self.text_or_file(f"{prefix}_{end}") or "").strip()
        if not value:
            raise ConfigError(f"{prefix}_{end} is needed for {prefix}_ENABLED=true.")
        return value

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


def _host_of(url: str) -> str:
    """The host as it is written: brackets of an IPv6 address stay."""
    return re.sub(r":[0-9]*$", "", url.partition("://")[2])
