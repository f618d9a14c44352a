"""What becomes of a message, and of its endpoint, after an attempt to send it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from engine.store.changes import Changes
from engine.store.query import Operation, fetch
from tenants.json_text import without_nul
from webhooks.models import DispatchState
from webhooks.outgoing import store
from webhooks.outgoing.answered import Answered
from webhooks.outgoing.gather import TOPIC
from webhooks.outgoing.schedule import DEAD_AFTER, LONGEST_HOLD, next_attempt
from webhooks.outgoing.store import Claimed, Finding, Outcome

KEPT_ATTEMPTS = 10
"""Of each message to an endpoint."""
GONE = 410
_ASKS_FOR_REST = (429, 503)


def outcome_of(
    claimed: Claimed, claim_id: UUID, answered: Answered, now: datetime, chance: float
) -> Outcome:
    """Judge an attempt; `chance`, between 0 and 1, spreads those that follow."""
    state, due_at, not_before = DispatchState.DELIVERED, now, None
    if not answered.is_taken:
        again = next_attempt(claimed.tries + 1, now, chance)
        state = DispatchState.FAILED if again is None else DispatchState.PENDING
        if answered.status in _ASKS_FOR_REST and answered.retry_after is not None:
            hold = min(timedelta(seconds=answered.retry_after), LONGEST_HOLD)
            not_before = now + hold
        due_at = max(again or now, not_before or now)
    error = without_nul(answered.error.encode(errors="replace").decode())
    entry = {
        "at": now.isoformat(),
        "milliseconds": round(answered.seconds * 1000),
        "status": answered.status,
        "error": error,
        "answer": without_nul(answered.snippet),
    }
    return Outcome(
        claimed.id,
        claim_id,
        claimed.tenant_id,
        claimed.endpoint_id,
        state.value,
        due_at,
        answered.status,
        error,
        orjson.dumps(entry).decode(),
        not_before,
        answered.status == GONE,
    )


def record_attempts(outcomes: Sequence[Outcome], now: datetime) -> Operation[None]:
    """Write down what became of attempts, and what they say about their endpoints."""
    yield from fetch(store.record(outcomes, kept=KEPT_ATTEMPTS, now=now))
    findings = _findings(outcomes)
    yield from fetch(store.judge(findings, dead_since=now - DEAD_AFTER, now=now))
    yield Changes(pages={(one.tenant_id, TOPIC) for one in outcomes})


def _findings(outcomes: Sequence[Outcome]) -> list[Finding]:
    """One endpoint may have several outcomes: one that was taken shows that it works."""
    of_endpoint: dict[UUID, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        of_endpoint[outcome.endpoint_id].append(outcome)
    return [
        Finding(
            endpoint_id,
            any(one.state == DispatchState.DELIVERED for one in found),
            any(one.is_gone for one in found),
            max((one.not_before for one in found if one.not_before), default=None),
        )
        for endpoint_id, found in sorted(of_endpoint.items())
    ]
