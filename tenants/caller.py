"""Whose token a call over gRPC shows, for whatever is done within that call."""

from __future__ import annotations

from contextvars import ContextVar

from tenants.token_claims import VerifiedToken

calling: ContextVar[VerifiedToken | None] = ContextVar("calling token", default=None)
