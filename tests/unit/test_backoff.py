"""The delay before a retry: factor to the power of the retry, bounded, unless the worker says otherwise."""

import pytest

from engine.domain.backoff import retry_delay_seconds


@pytest.mark.parametrize(
    ("retry", "factor", "limit", "delay"),
    [
        (1, None, None, 0.0),
        (1, None, 10, 0.0),
        (1, 2.0, None, 2.0),
        (3, 2.0, None, 8.0),
        (5, 2.0, 10, 10.0),
        (40, 2.0, None, 86_400.0),
        (100_000, 1000.0, 60, 60.0),
        (7, 1.0, None, 1.0),
    ],
)
def test_the_definition_decides(
    retry: int, factor: float | None, limit: int | None, delay: float
) -> None:
    assert retry_delay_seconds(retry, backoff_factor=factor, backoff_max_seconds=limit) == delay


@pytest.mark.parametrize(("asked_ms", "delay"), [(0, 0.0), (1500, 1.5), (-5, 0.0)])
def test_the_worker_may_ask_for_another_delay(asked_ms: int, delay: float) -> None:
    assert (
        retry_delay_seconds(3, backoff_factor=10.0, backoff_max_seconds=5, retry_after_ms=asked_ms)
        == delay
    )
