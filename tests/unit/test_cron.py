"""When crons fire, through clock changes too, and what is no cron."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.cron import ALIASES, parse_cron
from engine.errors import InvalidArgument


def fires(expression: str, after: str, count: int) -> list[str]:
    cron = parse_cron(expression, "cron", with_aliases=True)
    moment, found = datetime.fromisoformat(after), []
    for _ in range(count):
        following = cron.next_after(moment)
        assert following is not None
        assert following.tzinfo is UTC
        moment = following
        found.append(moment.strftime("%m-%d %H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:30.5+00:00", ["01-01 00:01:00", "01-01 00:02:00"]),
        ("* * * * *", "2026-01-01T00:01:00+00:00", ["01-01 00:02:00"]),
        ("*/20 * * * * *", "2026-01-01T00:00:19.999+00:00", ["01-01 00:00:20", "01-01 00:00:40"]),
        ("* * * * * *", "2026-01-01T00:00:59.2+00:00", ["01-01 00:01:00", "01-01 00:01:01"]),
        ("30 5 12 * * *", "2026-01-01T00:00:00+00:00", ["01-01 12:05:30", "01-02 12:05:30"]),
        ("0 9 * * MON-FRI", "2026-01-02T10:00:00+00:00", ["01-05 09:00:00"]),
        ("0 0 1 * 1", "2026-01-01T12:00:00+00:00", ["01-05 00:00:00"]),
        ("0 0 29 2 *", "2026-01-01T00:00:00+00:00", ["02-29 00:00:00"]),
        ("0 0 ? * 7", "2026-01-01T00:00:00+00:00", ["01-04 00:00:00"]),
        ("@hourly", "2026-01-01T00:00:00+00:00", ["01-01 01:00:00"]),
        ("TZ=America/New_York 0 9 * * *", "2026-01-01T00:00:00+00:00", ["01-01 14:00:00"]),
        ("CRON_TZ=Asia/Kolkata 0 0 * * *", "2026-01-01T00:00:00+00:00", ["01-01 18:30:00"]),
        # Berlin, 29 March: 02:00 to 03:00 does not exist.
        (
            "TZ=Europe/Berlin 30 2 * * *",
            "2026-03-28T12:00:00+00:00",
            ["03-29 01:00:00", "03-30 00:30:00"],
        ),
        # Berlin, 25 October: 02:00 to 03:00 comes twice.
        (
            "TZ=Europe/Berlin 30 2 * * *",
            "2026-10-24T12:00:00+00:00",
            ["10-25 00:30:00", "10-26 01:30:00"],
        ),
        (
            "TZ=Europe/Berlin */30 * * * *",
            "2026-10-25T00:10:00+00:00",
            ["10-25 00:30:00", "10-25 01:00:00", "10-25 01:30:00", "10-25 02:00:00"],
        ),
    ],
)
def test_when_it_fires(expression: str, after: str, expected: list[str]) -> None:
    assert fires(expression, after, len(expected)) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "   ",
        "61 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "60 * * * * *",
        "a b c d e f",
        "* * * *",
        "* * * * * * *",
        "5-1 * * * *",
        "*/0 * * * *",
        "1,,2 * * * *",
        "0 0 31 2 *",
        "@every 5m",
        "@daily",
        "@reboot",
        "TZ=Nowhere/Land * * * * *",
        "TZ=../../etc/passwd * * * * *",
        "TZ=Europe * * * * *",
        "TZ= * * * * *",
        "TZ=UTC",
        "TZ=UTC TZ=UTC * * * * *",
        "\uff11 * * * *",
        "* * * * *\0",
        "* " * 5_000,
        "1" * 199,
        "-1 * * * *",
    ],
)
def test_nonsense_is_refused_in_one_line(expression: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^cron_triggers: ") as refused:
        parse_cron(expression, "cron_triggers")
    assert len(str(refused.value)) < 400


def test_aliases_are_for_those_who_allow_them() -> None:
    for alias in ALIASES:
        parse_cron(alias, "cron", with_aliases=True)
        with pytest.raises(InvalidArgument):
            parse_cron(alias, "cron")


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
EXPRESSIONS = ["* * * * *", "*/7 * * * * *", "30 2 * * *", "0 */3 * * *", "15 1-4 * * *"]


@given(
    st.sampled_from(ZONES),
    st.sampled_from(EXPRESSIONS),
    st.integers(0, 365 * 86_400).map(
        lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    ),
    st.integers(0, 7_200),
)
def test_every_instant_comes_once_whoever_asks_and_when(
    zone: str, expression: str, start: datetime, wait: int
) -> None:
    """Asked at any moment between two fires, the answer is the second of them."""
    cron = parse_cron(f"TZ={zone} {expression}", "cron")
    found = [start]
    for _ in range(5):
        following = cron.next_after(found[-1])
        assert following is not None
        found.append(following)
    assert all(earlier < later for earlier, later in pairwise(found))
    asked = min(found[1] + timedelta(seconds=wait), found[-2])
    expected = next(moment for moment in found if moment > asked)
    assert cron.next_after(asked) == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_a_daily_cron_fires_once_on_every_day_of_the_year(zone: str) -> None:
    cron = parse_cron(f"TZ={zone} 30 2 * * *", "cron")
    moment, days = datetime(2026, 1, 1, tzinfo=UTC), []
    while (following := cron.next_after(moment)) and following.year == 2026:
        days.append(following.astimezone(cron.zone).date())
        moment = following
    assert len(days) == len(set(days)) >= 364
