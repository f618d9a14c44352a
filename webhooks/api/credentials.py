"""The credentials of a new webhook: `authType` says what `auth` holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tenants.rest import in_body
from tenants.rest.accepted import Parameter, accept, object_schema, read_as
from tenants.rest.params import Body, parse_member
from webhooks.changes import LONGEST_SECRET, LONGEST_USER, basic_secret
from webhooks.credentials import Algorithm, Credentials, Encoding
from webhooks.models import AuthType


class Auth(Protocol):
    def credentials(self) -> Credentials: ...


@dataclass(frozen=True, slots=True)
class BasicAuth:
    username: str = in_body.text("username", longest=LONGEST_USER)
    password: str = in_body.text("password", longest=LONGEST_SECRET)

    def credentials(self) -> Credentials:
        secret = basic_secret(self.username, self.password)
        return Credentials(auth_type=AuthType.BASIC, secret=secret)


@dataclass(frozen=True, slots=True)
class ApiKeyAuth:
    header_name: str = in_body.text("headerName")
    api_key: str = in_body.text("apiKey", longest=LONGEST_SECRET)

    def credentials(self) -> Credentials:
        return Credentials(
            auth_type=AuthType.API_KEY, secret=self.api_key, header_name=self.header_name
        )


@dataclass(frozen=True, slots=True)
class HmacAuth:
    algorithm: Algorithm = in_body.choice("algorithm", Algorithm.__members__, is_required=True)
    encoding: Encoding = in_body.choice("encoding", Encoding.__members__, is_required=True)
    header_name: str = in_body.text("signatureHeaderName")
    signing_secret: str = in_body.text("signingSecret", longest=LONGEST_SECRET)

    def credentials(self) -> Credentials:
        return Credentials(
            auth_type=AuthType.HMAC,
            secret=self.signing_secret,
            header_name=self.header_name,
            algorithm=self.algorithm,
            encoding=self.encoding,
        )


_KINDS: Mapping[AuthType, type[Auth]] = {
    AuthType.BASIC: BasicAuth,
    AuthType.API_KEY: ApiKeyAuth,
    AuthType.HMAC: HmacAuth,
}


def credentials() -> Any:
    """Credentials"""

    def read(body: Body) -> Credentials:
        kind = parse_member(AuthType, body.text("authType"), "authType")
        return accept(_KINDS[kind], body.part("auth")).credentials()

    kinds = {"type": "string", "enum": [kind.value for kind in AuthType]}
    auths = {"oneOf": [object_schema(kind) for kind in _KINDS.values()]}
    return read_as(
        read,
        Parameter("authType", kinds, is_required=True),
        Parameter("auth", auths, is_required=True),
    )
