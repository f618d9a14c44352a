import pytest

from engine.domain.durations import parse_duration
from engine.errors import InvalidArgument


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
