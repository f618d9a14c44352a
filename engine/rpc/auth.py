"""Who is calling: the bearer token of a call becomes its tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from django.db import DatabaseError, connection

from engine.errors import Unavailable
from engine.rpc.errors import Unauthenticated
from tenants.caller import calling
from tenants.token_claims import InvalidToken, VerifiedToken

_REFUSAL = "invalid auth token"
_SCHEME = "bearer "
# A token is some 600 characters; nothing much longer is worth a signature check.
_LONGEST_TOKEN = 4_096
_MOST_CHECKS = 1_000

Metadata = Iterable[tuple[str, str | bytes]]


class TokenVerifier(Protocol):
    """What `tenants.token_cache.TokenCache` offers."""

    def peek(self, token: str) -> VerifiedToken | None:
        """Answer from memory only."""

    def verify(self, token: str) -> VerifiedToken:
        """Answer from the database if need be; raise InvalidToken."""


class Authenticator:
    """Answers from memory on the event loop and asks the database from a thread."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier
        self._checks: dict[str, asyncio.Future[VerifiedToken]] = {}
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="token-check")

    def known_token(self, metadata: Metadata | None) -> str | None:
        """Return the token that a call shows if it is accepted without a look at the database."""
        try:
            token = bearer_token(metadata)
        except Unauthenticated:
            return None
        return token if self._verifier.peek(token) is not None else None

    def known(self, token: str) -> VerifiedToken | None:
        """Return whose token it is if that is accepted without a look at the database."""
        found = self._verifier.peek(token)
        calling.set(found)
        return found

    async def verify(self, token: str) -> VerifiedToken:
        """Return whose token it is or raise Unauthenticated."""
        return self.known(token) or await self.checked(token)

    async def checked(self, token: str) -> VerifiedToken:
        """The same for a token that is not known."""
        found = await self._check(token)
        calling.set(found)
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _check(self, token: str) -> VerifiedToken:
        """Calls that meet while a token is being checked share the check."""
        check = self._checks.get(token)
        if check is None:
            if len(self._checks) >= _MOST_CHECKS:
                raise Unavailable("too many tokens are being checked; try again")
            loop = asyncio.get_running_loop()
            check = loop.run_in_executor(self._threads, self._verify, token)
            self._checks[token] = check
            check.add_done_callback(lambda _: self._checks.pop(token, None))
        # One caller that gives up must not take the check from the others.
        return await asyncio.shield(check)

    def _verify(self, token: str) -> VerifiedToken:
        try:
            return self._verifier.verify(token)
        except InvalidToken as error:
            raise Unauthenticated(_REFUSAL) from error
        except DatabaseError as error:
            raise Unavailable("tokens cannot be checked now") from error
        finally:
            # Checks are rare: a connection kept for them would mostly idle.
            connection.close()


def bearer_token(metadata: Metadata | None) -> str:
    """Return the token that a call shows or raise Unauthenticated."""
    for key, value in metadata or ():
        if key == "authorization" and isinstance(value, str):
            scheme, token = value[: len(_SCHEME)].lower(), value[len(_SCHEME) :].strip()
            if scheme == _SCHEME and 0 < len(token) <= _LONGEST_TOKEN:
                return token
    raise Unauthenticated(_REFUSAL)
