"""A request as it came to a webhook, and the ways to refuse it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from webhooks.models import Verdict

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Arrived:
    """`headers` have lower-case names; `body` is what was sent, byte for byte."""

    headers: Mapping[str, str]
    body: bytes
    at: datetime
    remote_address: str = ""

    @property
    def is_form(self) -> bool:
        media_type = self.headers.get("content-type", "").partition(";")[0]
        return media_type.strip().lower() == FORM


class Refused(Exception):
    """A delivery that becomes no event: what the sender is told, and what is recorded."""

    def __init__(self, status: int, verdict: Verdict, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.verdict, self.sentence = status, verdict, sentence


def forged(sentence: str) -> Refused:
    return Refused(403, Verdict.FORGED, sentence)


def incomplete(sentence: str, status: int = 400) -> Refused:
    return Refused(status, Verdict.INCOMPLETE, sentence)


def malformed(sentence: str) -> Refused:
    return Refused(400, Verdict.MALFORMED, sentence)
