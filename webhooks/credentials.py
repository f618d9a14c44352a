"""How senders prove who they are: a password, a key, or a signature over what they send."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from webhooks.arrived import Arrived, Refused, forged
from webhooks.models import AuthType, Verdict

_PREFIX = re.compile(r"\A(?:sha1|sha256|sha512|md5)=", re.ASCII)
_WHOLE_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


class Algorithm(StrEnum):
    SHA1 = "SHA1"
    SHA256 = "SHA256"
    SHA512 = "SHA512"
    MD5 = "MD5"


class Encoding(StrEnum):
    HEX = "HEX"
    BASE64 = "BASE64"
    BASE64URL = "BASE64URL"


_ENCODERS: dict[Encoding, Callable[[bytes], str]] = {
    Encoding.HEX: bytes.hex,
    Encoding.BASE64: lambda digest: base64.b64encode(digest).decode(),
    Encoding.BASE64URL: lambda digest: base64.urlsafe_b64encode(digest).decode(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a webhook expects. `secret` is `user:password`, the key, or the signing secret."""

    auth_type: AuthType
    secret: str = field(repr=False)
    header_name: str = ""
    algorithm: Algorithm = Algorithm.SHA256
    encoding: Encoding = Encoding.HEX

    @property
    def secret_header(self) -> str:
        """The header, in lower case, that holds the secret itself; none holds a signing secret."""
        if self.auth_type is AuthType.BASIC:
            return "authorization"
        return self.header_name.lower() if self.auth_type is AuthType.API_KEY else ""

    def signature_of(self, signed: bytes, key: bytes | None = None) -> str:
        secret = self.secret.encode() if key is None else key
        digest = hmac.digest(secret, signed, self.algorithm.value.lower())
        return _ENCODERS[self.encoding](digest)


def is_same(given: str, expected: str) -> bool:
    """Compare in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())


def sign(body: bytes, own: Credentials, _at: datetime) -> Mapping[str, str]:
    """Return the headers, by their names in lower case, with which any sender may prove itself."""
    match own.auth_type:
        case AuthType.BASIC:
            return {"authorization": "Basic " + base64.b64encode(own.secret.encode()).decode()}
        case AuthType.API_KEY:
            return {own.header_name.lower(): own.secret}
        case AuthType.HMAC:
            return {own.header_name.lower(): own.signature_of(body)}


def verify(arrived: Arrived, expected: Credentials) -> None:
    """Check what any sender may use. Refused (403): the credentials are missing or wrong."""
    match expected.auth_type:
        case AuthType.BASIC:
            _verify_basic(arrived, expected)
        case AuthType.API_KEY:
            given = arrived.headers.get(expected.header_name.lower())
            if given is None:
                raise forged(f"the header {expected.header_name} is missing")
            if not is_same(given, expected.secret):
                raise forged(f"the key in the header {expected.header_name} is wrong")
        case AuthType.HMAC:
            _verify_signature(arrived, expected)


def _verify_basic(arrived: Arrived, expected: Credentials) -> None:
    scheme, _, encoded = arrived.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise forged("the header Authorization with the scheme Basic is missing")
    try:
        given = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise forged("the header Authorization cannot be read") from None
    if not is_same(given, expected.secret):
        raise forged("the user or the password is wrong")


def _verify_signature(arrived: Arrived, expected: Credentials) -> None:
    given = arrived.headers.get(expected.header_name.lower())
    if given is None:
        raise forged(f"the header {expected.header_name} with the signature is missing")
    given = _PREFIX.sub("", given.strip()).strip()
    if not is_same(given, expected.signature_of(arrived.body)):
        raise forged("the signature does not match the body")


def read_seconds(text: str) -> int | None:
    """Return a Unix time in whole seconds, None if it is none."""
    return int(text) if _WHOLE_SECONDS.fullmatch(text) else None


def refuse_stale(seconds: int, now: datetime, *, tolerance: int, status: int) -> None:
    """Refuse what was signed too long ago, or so far ahead of our clock that it would be good for long."""
    difference = now.timestamp() - seconds
    if abs(difference) > tolerance:
        direction = "ago" if difference > 0 else "ahead of this server's clock"
        raise Refused(
            status,
            Verdict.STALE,
            f"it was signed {abs(difference):.0f} s {direction}; {tolerance} s are tolerated",
        )
