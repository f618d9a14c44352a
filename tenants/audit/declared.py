"""What each way of changing something says about the audit log; the tests refuse those that say nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ACTION = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")


@dataclass(frozen=True, slots=True)
class _Audited:
    action: str
    """`resource.verb`."""

    def __post_init__(self) -> None:
        if not _ACTION.fullmatch(self.action):
            raise ValueError(f'"{self.action}" is no action such as cron.create')

    @property
    def kind(self) -> str:
        return self.action.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Changes(_Audited):
    """It changes rows of tables with audit triggers, which write the entries.

    It runs in one transaction; or, `in_parts`, opens one for each of its parts.
    """

    in_parts: bool = False


@dataclass(frozen=True, slots=True)
class Acts(_Audited):
    """It does something that no row with a trigger tells of; whoever does it says to what."""


@dataclass(frozen=True, slots=True)
class Unaudited:
    """It is not told one by one."""

    because: str


Declared = Changes | Acts | Unaudited

DATA_PLANE = Unaudited("runs and events are their own record")
ONLY_READS = Unaudited("changes nothing")
TOLD_BY_SESSIONS = Unaudited("the session says itself when it begins and ends")
TOLD_BY_BOOTSTRAP = Unaudited("making what is missing tells of itself")
SENDS_MAIL = Unaudited("sends a mail and changes nothing")
