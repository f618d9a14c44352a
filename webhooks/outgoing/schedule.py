"""When a message that was not taken is sent again: the schedule that Standard Webhooks recommends."""

from __future__ import annotations

from datetime import datetime, timedelta

DELAYS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""After each failed attempt; the last one is made a good three days after the first."""
JITTER = 0.2
"""By how much of itself a delay is longer at most, so that what failed together does not come together."""
LONGEST_HOLD = timedelta(hours=1)
"""An endpoint may ask to be left alone for so long."""
DEAD_AFTER = timedelta(days=3)
"""An endpoint that took nothing for so long is paused."""


def next_attempt(tries: int, now: datetime, chance: float) -> datetime | None:
    """Return when to try again after so many tries, None for never; `chance` is between 0 and 1."""
    if tries > len(DELAYS):
        return None
    return now + DELAYS[tries - 1] * (1 + JITTER * chance)
