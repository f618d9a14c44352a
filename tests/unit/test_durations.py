from datetime import timedelta

import pytest

from engine.domain.durations import parse_durable_sleep, parse_duration, parse_sleep
from engine.errors import InvalidArgument
from tenants.durations import parse_lifetime


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("1h30m", 5400),
        ("500ms", 0.5),
        (".5s", 0.5),
        ("1.s", 1),
        ("1.25m", 75),
        ("1m1m", 120),
        ("0h", 0),
    ],
)
def test_durations_are_sums_of_their_parts(text: str, seconds: float) -> None:
    assert parse_duration(text, "timeout") == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "60",
        "s",
        "-1s",
        "+1s",
        "1d",
        "1w",
        "1 s",
        " 1s",
        "1s\n",
        "1us",
        ".s",
        "\uff11s",
        "9" * 101 + "s",
    ],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidArgument, match="timeout"):
        parse_duration(text, "timeout")


def test_a_duration_beyond_ten_years_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="ten years"):
        parse_duration("99999999h", "timeout")


@pytest.mark.parametrize(
    ("text", "seconds"), [("2d", 172_800), ("1w", 604_800), ("1y", 31_536_000), ("1h30m", 5400)]
)
def test_a_sleep_may_also_be_whole_days_weeks_or_years(text: str, seconds: float) -> None:
    assert parse_sleep(text, "sleep_for") == seconds


@pytest.mark.parametrize("text", ["1d2h", "1.5d", "-1d", "d", "11y", "9999999w", "1M"])
def test_a_sleep_of_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="sleep_for"):
        parse_sleep(text, "sleep_for")


@pytest.mark.parametrize("text", ["-3s", "-1w", "-0h"])
def test_a_durable_sleep_that_is_over_takes_no_time(text: str) -> None:
    assert parse_durable_sleep(text, "sleep_for") == 0.0
    with pytest.raises(InvalidArgument):
        parse_sleep(text, "sleep_for")


@pytest.mark.parametrize(
    ("text", "hours"), [("90d", 2160), ("1d12h", 36), (" 72h ", 72), ("1.5d", 36), ("90m", 1.5)]
)
def test_a_lifetime_counts_days_like_any_other_unit(text: str, hours: float) -> None:
    assert parse_lifetime(text) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text", ["", "0s", "-5m", "soon", "90", "1w", "1y", "\uff11h", "9" * 90 + "h", "9" * 101 + "s"]
)
def test_what_is_no_lifetime_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|too long"):
        parse_lifetime(text)
