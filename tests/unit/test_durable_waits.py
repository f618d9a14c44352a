"""What ends a wait, and how results of waits and children are told."""

from __future__ import annotations

from uuid import uuid4

import pytest

from engine.domain.durable.results import ChildTask, as_object, outcome_of_child
from engine.domain.durable.waits import Met, is_over, parse_conditions, result_of, scope_fits
from engine.errors import InvalidArgument
from engine.states import Status
from tests.unit.durable_task import event, sleep

# Waits


def met(group: int, is_met: bool, data_key: str = "k", payload: bytes | None = None) -> Met:
    return Met(group, payload is not None, "5s", data_key, is_met, payload)


def test_a_wait_is_over_when_every_group_has_a_condition_that_is_met() -> None:
    assert not is_over([met(0, True), met(0, False), met(1, False)])
    assert is_over([met(0, True), met(0, False), met(1, True)])
    assert not is_over([met(0, False)])
    assert is_over([])


def test_a_result_has_one_key_each_and_shares_equal_ones() -> None:
    conditions = [
        met(0, True, "a"),
        met(0, False, "never"),
        met(1, True, 'b"', b'{"n": 1}'),
        met(2, True, "a", b'{"n":2}'),
    ]
    assert result_of(conditions) == (
        b'{"CREATE":{"a":[{"sleep_duration":"5s"},{"n":2}],"b\\"":[{"n": 1}]}}'
    )


def test_groups_are_numbered_as_they_come() -> None:
    group = uuid4()
    parsed = parse_conditions([sleep("5s", group), event("e"), event("f", group)])
    assert [condition.group for condition in parsed] == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("2m", 120),
        ("1500ms", 1.5),
        ("1h2m3s", 3723),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("1w", 604_800),
        ("1y", 31_536_000),
        ("-3s", 0),
        ("0h", 0),
    ],
)
def test_sleeps_as_clients_write_them(text: str, seconds: float) -> None:
    assert parse_conditions([sleep(text)])[0].seconds == seconds


@pytest.mark.parametrize("text", ["", "-", "3", "s", "1 h", "11y", "99999999h", "1s\0"])
def test_what_is_no_sleep(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_conditions([sleep(text)])


def test_a_sleep_whose_expression_does_not_hold_never_ends() -> None:
    assert parse_conditions([sleep("5s", expression="false")])[0].seconds is None
    assert parse_conditions([sleep("5s", expression="1 +")])[0].seconds is None
    assert parse_conditions([sleep("5s", expression="true")])[0].seconds == 5


def test_oversized_waits_are_refused() -> None:
    nul = [event("a\0"), event("e", scope="\0"), sleep(data_key="\0"), sleep(expression="\0")]
    for conditions in ([sleep()] * 1_001, [event("é" * 1_001)], [event("")], *([c] for c in nul)):
        with pytest.raises(InvalidArgument):
            parse_conditions(conditions)


def test_scopes() -> None:
    assert scope_fits(None, None) and scope_fits(None, "a") and scope_fits("a", "a")
    assert not scope_fits("a", "b") and not scope_fits("a", None) and not scope_fits("", None)


# Children that ended


def test_the_output_of_one_task_stands_for_itself() -> None:
    done = ChildTask("step", Status.COMPLETED, b'{"a":1}')
    assert outcome_of_child([done], Status.COMPLETED) == (b'{"a":1}', None)
    assert outcome_of_child([done._replace(output=None)], Status.COMPLETED) == (b"", None)


def test_outputs_of_several_tasks_have_their_names() -> None:
    tasks = [
        ChildTask("a", Status.COMPLETED, b'{"x":1}'),
        ChildTask("b", Status.COMPLETED),
        ChildTask("c", Status.COMPLETED, b'{"skipped":true}'),
    ]
    assert outcome_of_child(tasks, Status.COMPLETED) == (
        b'{"a":{"x":1},"c":{"skipped":true}}',
        None,
    )


def test_a_real_error_goes_before_a_cancellation() -> None:
    cancelled = ChildTask("a", Status.CANCELLED)
    failed = ChildTask("b", Status.FAILED, error="it broke")
    assert outcome_of_child([cancelled, failed], Status.FAILED) == (b"", "it broke")
    assert outcome_of_child([cancelled], Status.CANCELLED) == (b"", "task was cancelled")
    assert outcome_of_child([failed._replace(error="")], Status.FAILED) == (b"", "")


@pytest.mark.parametrize("data", [None, b"", b"null", b"[1]", b'"x"', b"{", b"{'a':1}", b"{} {}"])
def test_what_is_no_object_is_not_sent(data: bytes | None) -> None:
    assert as_object(data) == b""
