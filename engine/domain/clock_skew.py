"""What a client's "until now" means, whose clock is not ours."""

from __future__ import annotations

from datetime import datetime, timedelta

CLOCK_SKEW = timedelta(seconds=5)


def upper_bound(until: datetime | None, now: datetime) -> datetime | None:
    """Return `until`, or None when it means "now": no clock may hide the newest rows."""
    if until is None or until >= now - CLOCK_SKEW:
        return None
    return until
