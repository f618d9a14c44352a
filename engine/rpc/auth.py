"""Who is calling: the bearer token of a call becomes its tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from uuid import UUID

from django.db import DatabaseError, close_old_connections

from engine.errors import Unavailable
from engine.rpc.errors import Unauthenticated
from tenants.token_claims import InvalidToken, VerifiedToken

_REFUSAL = "invalid auth token"
_SCHEME = "bearer "
# A token is some 600 characters; nothing much longer is worth a signature check.
_LONGEST_TOKEN = 8_192


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
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="token-check")

    async def tenant_of(self, metadata: Iterable[tuple[str, str | bytes]]) -> UUID:
        """Return the caller's tenant or raise Unauthenticated."""
        token = _bearer_token(metadata)
        known = self._verifier.peek(token)
        if known is None:
            loop = asyncio.get_running_loop()
            known = await loop.run_in_executor(self._threads, self._verify, token)
        return known.tenant_id

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, token: str) -> VerifiedToken:
        close_old_connections()
        try:
            return self._verifier.verify(token)
        except InvalidToken as error:
            raise Unauthenticated(_REFUSAL) from error
        except DatabaseError as error:
            raise Unavailable("tokens cannot be checked now") from error
        finally:
            close_old_connections()


def _bearer_token(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key == "authorization" and isinstance(value, str):
            scheme, token = value[: len(_SCHEME)].lower(), value[len(_SCHEME) :].strip()
            if scheme == _SCHEME and 0 < len(token) <= _LONGEST_TOKEN:
                return token
    raise Unauthenticated(_REFUSAL)
