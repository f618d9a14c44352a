"""Verified tokens kept in memory, so that a call costs neither a signature check nor a query.

A row check is trusted for `max_age_seconds`. Processes that listen to `REVOKED_CHANNEL` call `forget`
and may trust it long; the others keep the default, which bounds how late a revocation is noticed.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from tenants.token_claims import VerifiedToken, read_token
from tenants.token_rows import check_row, note_use

REVOKED_CHANNEL = "hatchet_token_revoked"


@dataclass(slots=True)
class _Entry:
    token: VerifiedToken
    good_until: float
    """By the cache's clock: its row is to be looked at again then, or it expires."""


class TokenCache:
    """Bounded, those checked longest ago go first. Safe to share between threads."""

    def __init__(
        self,
        *,
        max_age_seconds: float = 0.5,
        max_entries: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_age_seconds = max_age_seconds
        self._max_entries = max_entries
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._forgotten = 0

    def peek(self, token: str) -> VerifiedToken | None:
        """Return the token if it can be accepted without any I/O."""
        entry = self._entries.get(token)
        return entry.token if entry is not None and self._clock() < entry.good_until else None

    def verify(self, token: str) -> VerifiedToken:
        """Return the token or raise InvalidToken; asks the database when the memory is too old."""
        known = self.peek(token)
        if known is not None:
            return known
        with self._lock:
            entry = self._entries.get(token)
            forgotten_before = self._forgotten
        checked_at = self._clock()
        row = check_row(entry.token if entry is not None else read_token(token))
        note_use(row)
        verified = row.token
        left = (verified.expires_at - datetime.now(UTC)).total_seconds()
        good_until = checked_at + min(self._max_age_seconds, left)
        with self._lock:
            # A revocation that came during the check may not be in the row we saw.
            if self._forgotten == forgotten_before:
                self._entries[token] = _Entry(verified, good_until)
                self._entries.move_to_end(token)
                while len(self._entries) > self._max_entries:
                    self._entries.popitem(last=False)
        return verified

    def forget(self, token_id: UUID) -> None:
        with self._lock:
            self._forgotten += 1
            gone = [
                text for text, entry in self._entries.items() if entry.token.token_id == token_id
            ]
            for text in gone:
                del self._entries[text]

    def clear(self) -> None:
        with self._lock:
            self._forgotten += 1
            self._entries.clear()


shared = TokenCache()
"""The cache of this process."""
