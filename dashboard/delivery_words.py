"""What pages say of the verdicts on deliveries."""

from __future__ import annotations

from typing import NamedTuple

from webhooks.models import Verdict


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
