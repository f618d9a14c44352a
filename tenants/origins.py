"""Which pages may call us: our own with a session, those of allowed origins with a token."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from tenants.installation import installation

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def is_foreign(origin: str | None, fetch_site: str | None, *, scheme: str, host: str) -> bool:
    """Whether a browser says that a page of another origin makes this request.

    Every browser sends `Origin` with what changes something and with a WebSocket's handshake, and new
    ones `Sec-Fetch-Site`; programs that send neither have no visitor whose session a page could use.
    """
    if origin is not None:
        return not is_own(origin, scheme=scheme, host=host)
    return fetch_site not in {None, "same-origin", "none"}


def is_own(origin: str, *, scheme: str, host: str) -> bool:
    """Whether `origin` is where this request went to, or the address of this installation."""
    return origin.lower() in {f"{scheme}://{host}".lower(), installation().server_url.lower()}


def is_allowed(origin: str, patterns: Iterable[str]) -> bool:
    """Whether pages of `origin` may call with a token; without patterns all may."""
    patterns = tuple(patterns)
    return not patterns or any(_expression(one).fullmatch(origin.lower()) for one in patterns)


@lru_cache(maxsize=64)
def _expression(pattern: str) -> re.Pattern[str]:
    """`*` stands for anything within a host name or a port, and alone for every origin."""
    if pattern == "*":
        return re.compile(".*")
    return re.compile("[^/:@]*".join(re.escape(part) for part in pattern.lower().split("*")))
