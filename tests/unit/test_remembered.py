"""What is remembered of rows that never change is read once, and has a bound."""

from __future__ import annotations

from collections.abc import Collection

from engine.models.remembered import Remembered


class Rows:
    def __init__(self, **values: str) -> None:
        self.values = values
        self.asked: list[str] = []

    def read(self, keys: Collection[str]) -> dict[str, str]:
        self.asked += sorted(keys)
        return {key: self.values[key] for key in keys if key in self.values}


def test_what_is_known_is_not_read_again() -> None:
    rows = Rows(a="1", b="2")
    remembered = Remembered(rows.read, most=10)
    assert remembered.of(["a"]) == {"a": "1"}
    assert remembered.of(["a", "b", "b"]) == {"a": "1", "b": "2"}
    assert remembered.of([]) == {}
    assert rows.asked == ["a", "b"]


def test_what_is_not_there_is_looked_for_again() -> None:
    rows = Rows()
    remembered = Remembered(rows.read, most=10)
    assert remembered.of(["a"]) == {}
    rows.values["a"] = "1"
    assert remembered.of(["a"]) == {"a": "1"}


def test_the_first_that_was_read_is_forgotten_first() -> None:
    rows = Rows(a="1", b="2", c="3")
    remembered = Remembered(rows.read, most=2)
    for key in "abc":
        assert remembered.of([key]) == {key: rows.values[key]}
    rows.asked.clear()
    remembered.of(["a", "b", "c"])
    assert rows.asked == ["a"]


def test_the_bound_is_one_of_weight_and_what_is_heavier_is_still_returned() -> None:
    rows = Rows(a="12", b="34", c="12345")
    remembered = Remembered(rows.read, most=4, weigh=len)
    assert remembered.of(["c"]) == {"c": "12345"}
    assert len(remembered.of(["a", "b"])) == 2
    rows.asked.clear()
    remembered.of(["a", "b"])
    assert rows.asked == []
    remembered.of(["c"])
    assert rows.asked == ["c"]
    rows.values["d"] = "5"
    remembered.of(["d"])
    rows.asked.clear()
    remembered.of(["b", "d"])
    assert rows.asked == []
    remembered.of(["a"])
    assert rows.asked == ["a"]
