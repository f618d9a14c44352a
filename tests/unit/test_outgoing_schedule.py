"""When messages are sent again, and what attempts say of their endpoints."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from engine.ids import new_id
from webhooks.models import DispatchState
from webhooks.outgoing.answered import Answered
from webhooks.outgoing.record import outcome_of
from webhooks.outgoing.schedule import DELAYS, JITTER, next_attempt
from webhooks.outgoing.signing import key_of, new_secret, signed_headers
from webhooks.outgoing.store import Claimed, Outcome

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def claimed(tries: int = 0) -> Claimed:
    return Claimed(new_id(), new_id(), new_id(), new_id(), tries, "", b"", None, None, b"{}", 1)


def judged(answered: Answered, tries: int = 0, chance: float = 0.0) -> Outcome:
    return outcome_of(claimed(tries), new_id(), answered, NOW, chance)


def test_the_schedule_is_the_recommended_one() -> None:
    """https://github.com/standard-webhooks/standard-webhooks, Deliverability and reliability."""
    moments, now = [], NOW
    for tries in range(1, 11):
        again = next_attempt(tries, now, 0.0)
        if again is None:
            break
        moments.append(again - NOW)
        now = again
    assert moments == [
        timedelta(hours=hours, minutes=minutes, seconds=5)
        for hours, minutes in (
            *((0, 0), (0, 5), (0, 35), (2, 35), (7, 35)),
            *((17, 35), (31, 35), (51, 35), (75, 35)),
        )
    ]
    assert next_attempt(10, NOW, 0.0) is None


def test_what_failed_together_does_not_come_together() -> None:
    first, last = next_attempt(2, NOW, 0.0), next_attempt(2, NOW, 1.0)
    assert first is not None
    assert last is not None
    assert last - first == DELAYS[1] * JITTER


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_any_2xx_takes_a_message(status: int) -> None:
    outcome = judged(Answered(status))
    assert (outcome.state, outcome.is_gone) == (DispatchState.DELIVERED, False)


@pytest.mark.parametrize("status", [None, 100, 301, 302, 400, 404, 410, 429, 500, 503])
def test_anything_else_does_not(status: int | None) -> None:
    outcome = judged(Answered(status, "no"))
    assert outcome.state == DispatchState.PENDING
    assert outcome.due_at == NOW + DELAYS[0]
    assert outcome.is_gone is (status == 410)


def test_after_the_last_attempt_it_is_given_up() -> None:
    assert judged(Answered(500), tries=8).state == DispatchState.PENDING
    assert judged(Answered(500), tries=9).state == DispatchState.FAILED


def test_an_endpoint_is_left_alone_for_as_long_as_it_asks_and_no_longer_than_an_hour() -> None:
    asked = judged(Answered(429, retry_after=90.0))
    assert asked.not_before == asked.due_at == NOW + timedelta(seconds=90)
    assert judged(Answered(503, retry_after=1e9)).not_before == NOW + timedelta(hours=1)
    assert judged(Answered(429)).not_before is None
    assert judged(Answered(500, retry_after=90.0)).not_before is None


def test_errors_and_answers_that_cannot_be_stored_are_changed() -> None:
    outcome = judged(Answered(500, "a\0b\udc80", "c\0"))
    assert "\0" not in outcome.error
    assert "\\u0000" not in outcome.entry
    outcome.error.encode()


def test_the_signature_is_over_id_time_and_body() -> None:
    """Computed by openssl: `printf '%s' msg_….<seconds>.{…} | openssl dgst -sha256 -mac HMAC -macopt hexkey:…`."""
    headers = signed_headers(
        UUID("0189d4d4-8a84-7a3f-8000-000000000001"),
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        NOW,
    )
    assert headers["webhook-id"] == "msg_0189d4d48a847a3f8000000000000001"
    assert headers["webhook-timestamp"] == "1796040000"
    assert headers["webhook-signature"] == "v1,/4gnP1hnpDLF/IMeoHgktiiadRSiOOorav38guusGwc="


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_not base64",
        "whsec_" + base64.b64encode(b"short").decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        base64.b64encode(b"x" * 32).decode(),
        "whsec_größe",
    ],
)
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="must be whsec_"):
        key_of(secret)


def test_secrets_are_long_and_differ() -> None:
    assert len(key_of(new_secret())) == 32
    assert new_secret() != new_secret()
