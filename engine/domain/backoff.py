"""How long a failed attempt waits before the next one."""

DEFAULT_MAX_SECONDS = 86_400


def retry_delay_seconds(
    app_retry_count: int,
    *,
    backoff_factor: float | None,
    backoff_max_seconds: int | None,
    retry_after_ms: int | None = None,
) -> float:
    """Return the delay before retry number `app_retry_count` (the new count, from 1); 0 means at once.

    What the worker asks for with `retry_after_ms` replaces the rule of the definition.
    """
    if retry_after_ms is not None:
        return max(0, retry_after_ms) / 1000
    if backoff_factor is None:
        return 0.0
    limit = float(backoff_max_seconds or DEFAULT_MAX_SECONDS)
    try:
        return min(limit, float(backoff_factor) ** app_retry_count)
    except OverflowError:
        return limit
