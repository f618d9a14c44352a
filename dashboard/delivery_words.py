"""What pages say of deliveries that came, of messages that go out, and of where they go."""

from __future__ import annotations

from typing import NamedTuple

from webhooks.models import Dispatch, DispatchState, Endpoint, PauseReason, Verdict


class Words(NamedTuple):
    """`state` is the one whose colour and shape a verdict has."""

    state: str
    label: str


VERDICTS = {
    Verdict.ACCEPTED: Words("completed", "Accepted"),
    Verdict.CHALLENGE: Words("completed", "Address confirmed"),
    Verdict.FORGED: Words("failed", "Wrong credentials"),
    Verdict.STALE: Words("failed", "Signed at another time"),
    Verdict.INCOMPLETE: Words("failed", "Signature missing"),
    Verdict.MALFORMED: Words("failed", "Unreadable"),
    Verdict.TOO_LARGE: Words("failed", "Too large"),
    Verdict.RATE_LIMITED: Words("cancelled", "Too often"),
    Verdict.EXPRESSION_FAILED: Words("failed", "Expression failed"),
    Verdict.REFUSED: Words("failed", "Event refused"),
    Verdict.FAILED: Words("failed", "Server fault"),
}


def words_of(verdict: str) -> Words:
    return VERDICTS[Verdict(verdict)]


def words_of_dispatch(dispatch: Dispatch) -> Words:
    if dispatch.state == DispatchState.DELIVERED:
        return Words("completed", "Delivered")
    if dispatch.state == DispatchState.FAILED:
        return Words("failed", "Given up")
    return Words("running", "Trying again") if dispatch.tries else Words("queued", "Waiting")


def words_of_endpoint(endpoint: Endpoint) -> Words:
    match endpoint.pause_reason:
        case PauseReason.PERSON:
            return Words("cancelled", "Paused")
        case PauseReason.FAILING:
            return Words("failed", "Paused: it took nothing for days")
        case PauseReason.GONE:
            return Words("failed", "Paused: it answered 410")
    if endpoint.failing_since is not None:
        return Words("failed", "Failing")
    return Words("completed", "Active")
