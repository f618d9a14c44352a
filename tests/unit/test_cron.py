"""When crons fire, through clock changes too, and what is no cron."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.cron.expression import (
    DESCRIPTORS,
    Timing,
    check_cron,
    last_times_begin,
    parse_cron,
)
from engine.errors import InvalidArgument


def fires(expression: str, after: str, count: int) -> list[str]:
    moment, found = datetime.fromisoformat(after), []
    cron = parse_cron(expression, "cron", moment)
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
        # One of the two kinds of days is enough, unless one is a star without a step.
        (
            "0 0 */2 * 1",
            "2026-01-03T12:00:00+00:00",
            [
                "01-05 00:00:00",
                "01-07 00:00:00",
                "01-09 00:00:00",
                "01-11 00:00:00",
                "01-12 00:00:00",
            ],
        ),
        (
            "0 0 1,15 * 1",
            "2026-01-02T00:00:00+00:00",
            ["01-05 00:00:00", "01-12 00:00:00", "01-15 00:00:00"],
        ),
        (
            "0 0 1 * */3",
            "2026-01-05T00:00:00+00:00",
            ["01-07 00:00:00", "01-10 00:00:00", "01-11 00:00:00"],
        ),
        ("0 0 */1 * 1", "2026-01-05T00:00:00+00:00", ["01-12 00:00:00"]),
        ("0 0 1/2 * ?", "2026-01-01T00:00:00+00:00", ["01-03 00:00:00", "01-05 00:00:00"]),
        (
            "0 0 * * 1/3",
            "2026-01-01T00:00:00+00:00",
            ["01-05 00:00:00", "01-08 00:00:00", "01-12 00:00:00"],
        ),
        ("? ? * * *", "2026-01-01T00:00:00+00:00", ["01-01 00:01:00"]),
        ("0 0 L * *", "2026-01-01T00:00:00+00:00", ["01-31 00:00:00", "02-28 00:00:00"]),
        ("0 0 LW * *", "2026-01-01T00:00:00+00:00", ["01-30 00:00:00", "02-27 00:00:00"]),
        ("0 0 * * FRI#2", "2026-01-01T00:00:00+00:00", ["01-09 00:00:00", "02-13 00:00:00"]),
        ("0 0 * * 5L", "2026-01-01T00:00:00+00:00", ["01-30 00:00:00", "02-27 00:00:00"]),
        ("@midnight", "2026-01-01T00:00:00+00:00", ["01-02 00:00:00", "01-03 00:00:00"]),
        ("TZ=Asia/Tokyo @daily", "2026-01-01T00:00:00+00:00", ["01-01 15:00:00"]),
        ("@every 5m", "2026-01-01T00:00:07.9+00:00", ["01-01 00:05:07", "01-01 00:10:07"]),
        ("@every 1h30m10.9s", "2026-01-01T00:00:00+00:00", ["01-01 01:30:10", "01-01 03:00:20"]),
        ("@every 1ms", "2026-01-01T00:00:00+00:00", ["01-01 00:00:01", "01-01 00:00:02"]),
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
            "TZ=Europe/Berlin 0 30 2 * * *",
            "2026-10-24T12:00:00+00:00",
            ["10-25 00:30:00", "10-26 01:30:00"],
        ),
        # Asked while the hour comes again.
        (
            "TZ=Europe/Berlin 15,55 2,3 * * *",
            "2024-10-27T01:20:00+00:00",
            ["10-27 02:15:00", "10-27 02:55:00", "10-28 01:15:00"],
        ),
        # Lord Howe Island changes its clocks by half an hour: 01:30 comes twice, 02:00 to 02:30 never.
        (
            "TZ=Australia/Lord_Howe 30 * * * *",
            "2026-04-04T13:40:00+00:00",
            ["04-04 14:30:00", "04-04 15:00:00", "04-04 16:00:00"],
        ),
        (
            "TZ=Australia/Lord_Howe 30 * * * *",
            "2026-10-03T14:40:00+00:00",
            ["10-03 15:00:00", "10-03 15:30:00", "10-03 16:30:00"],
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
        "@every",
        "@every 5",
        "@every 0s",
        "@every -5m",
        "@every 200y",
        "@every 5m 5m",
        "@Daily",
        "@reboot",
        "0 0 1-1/ * *",
        "0 0 32/2 * *",
        "0 0 * * 1#6",
        "0 0 * * L",
        "0 0 * * #1",
        "1/999999999999 * * * *",
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
        check_cron(expression, "cron_triggers")
    assert len(str(refused.value)) < 400


def test_every_descriptor_is_known() -> None:
    for descriptor in DESCRIPTORS:
        assert parse("TZ=Asia/Tokyo " + descriptor).next_after(datetime(2026, 1, 1, tzinfo=UTC))


def test_an_interval_is_counted_from_the_making_whoever_asks_and_when() -> None:
    made = datetime(2026, 1, 1, 10, 0, 30, 500, tzinfo=UTC)
    one, other = (parse_cron("@every 7m", "cron", made) for _ in range(2))
    asked = made + timedelta(hours=3, minutes=1)
    assert (
        one.next_after(asked)
        == other.next_after(asked)
        == made.replace(microsecond=0) + 26 * timedelta(minutes=7)
    )
    assert one.count(made, asked) == 25


def parse(expression: str) -> Timing:
    return parse_cron(expression, "cron", datetime(2026, 1, 1, tzinfo=UTC))


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
    cron = parse(f"TZ={zone} {expression}")
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
    cron = parse(f"TZ={zone} 30 2 * * *")
    moment, days = datetime(2026, 1, 1, tzinfo=UTC), []
    while (following := cron.next_after(moment)) and following.year == 2026:
        days.append(following.astimezone(cron.zone).date())
        moment = following
    assert len(days) == len(set(days)) >= 364


@given(
    st.sampled_from(ZONES),
    st.sampled_from([*EXPRESSIONS, "0 */7 * * *", "* * * * * *", "5-50/5 2,3 * * *"]),
    st.integers(0, 365 * 86_400).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(1, 4_000),
    st.integers(1, 60),
)
def test_times_are_counted_as_they_come(
    zone: str, expression: str, passed: timedelta, minutes: int, most: int
) -> None:
    times, after = parse(f"TZ={zone} {expression}"), datetime(2026, 1, 1, tzinfo=UTC) + passed
    until = after + timedelta(minutes=min(minutes, 90) if expression == "* * * * * *" else minutes)
    moment, found = after, []
    while (following := times.next_after(moment)) and following <= until:
        moment = following
        found.append(following)
    assert times.count(after, until) == len(found)
    since = last_times_begin(times, after, until, most)
    assert [at for at in found if at > since] == found[-most:]
