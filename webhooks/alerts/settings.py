"""Names and settings as they are given: judged before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from engine.errors import InvalidArgument
from webhooks.alerts.kinds import KINDS, MOST_WORKFLOWS, STATUSES, RuleKind, Whole

LONGEST_NAME = 200
SELECTION = ("statuses", "workflowIds")
NUMBERS = tuple(sorted({number.name for kind in KINDS.values() for number in kind.numbers}))
"""The names of all settings that are whole numbers."""


def clean_line(field: str, given: str, longest: int) -> str:
    line = given.strip()
    if not 1 <= len(line) <= longest or not line.isprintable():
        raise InvalidArgument(f"{field} must be 1 to {longest} characters in one line")
    return line


def kind_of(name: str) -> RuleKind:
    if name not in KINDS:
        raise InvalidArgument(f"kind must be one of {', '.join(KINDS)}")
    return KINDS[name]


def settings_of(kind: RuleKind, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a rule of the kind keeps: all of its settings, those not given by default.

    `workflowIds` are texts; whether such workflows exist is not judged here.
    """
    known = {number.name for number in kind.numbers} | set(SELECTION if kind.selects_runs else ())
    foreign = next((name for name in given if name not in known), None)
    if foreign is not None:
        raise InvalidArgument(f"{foreign[:100]} is no setting of the kind {kind.name}")
    kept: dict[str, Any] = {
        number.name: _whole(number, given.get(number.name)) for number in kind.numbers
    }
    if kind.selects_runs:
        kept["statuses"] = _statuses(given.get("statuses", ()))
        kept["workflowIds"] = _workflow_ids(given.get("workflowIds", ()))
    return kept


def _whole(number: Whole, value: Any) -> int:
    if value is None:
        value = number.default
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not number.least <= value <= number.most:
        raise InvalidArgument(
            f"{number.name} must be a whole number from {number.least} to {number.most}"
        )
    return int(value)


def _statuses(given: Sequence[Any]) -> list[str]:
    """In the order of the table, each once."""
    if any(name not in STATUSES for name in given if isinstance(name, str)) or not all(
        isinstance(name, str) for name in given
    ):
        raise InvalidArgument(f"statuses must be some of {', '.join(STATUSES)}")
    return [name for name in STATUSES if name in given]


def _workflow_ids(given: Sequence[UUID]) -> list[str]:
    if len(given) > MOST_WORKFLOWS:
        raise InvalidArgument(f"workflowIds must hold at most {MOST_WORKFLOWS} entries")
    return sorted({str(each) for each in given})
