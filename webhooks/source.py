"""What distinguishes one kind of sender from another: the contract of a folder under `sources`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from webhooks import credentials
from webhooks.arrived import Arrived
from webhooks.credentials import Algorithm, Credentials, Encoding
from webhooks.models import AuthType

ANY_AUTH = tuple(AuthType)


def no_challenge(_arrived: Arrived) -> str | None:
    return None


def any_secret(_secret: str) -> None:
    """Accept every signing secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A kind of sender.

    `verify` raises Refused; `sign` returns the headers of a sender that signs `sample`. `challenge` returns what a sender that asks for it is to be sent back.
    `read_form` turns the fields of a form into a JSON text; without it forms are refused. `check_secret`
    raises ValueError, with a sentence, for a signing secret that cannot be one.

    The rest is for people who make a webhook: what is filled in for them, and what they do at the sender,
    a sentence a step.
    """

    name: str
    title: str
    verify: Callable[[Arrived, Credentials], None] = credentials.verify
    sign: Callable[[bytes, Credentials, datetime], Mapping[str, str]] = credentials.sign
    sample: bytes = b'{"type": "test"}'
    auth_types: tuple[AuthType, ...] = ANY_AUTH
    challenge: Callable[[Arrived], str | None] = no_challenge
    read_form: Callable[[Mapping[str, str]], str | bytes] | None = None
    check_secret: Callable[[str], None] = any_secret

    event_key_expression: str
    more_expressions: tuple[str, ...] = ()
    header_name: str = ""
    algorithm: Algorithm = Algorithm.SHA256
    encoding: Encoding = Encoding.HEX
    secret_hint: str
    steps: tuple[str, ...]
