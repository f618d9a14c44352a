"""What one part of the engine tells of the database being away, from the first failure to the next success."""

from __future__ import annotations

from time import perf_counter

from engine import telemetry


class Absence:
    """`what` cannot reach the database; `consequence` is what people read of it, once a try."""

    def __init__(self, what: str, consequence: str) -> None:
        self._what, self._consequence = what, consequence
        self._since: float | None = None

    def met(self, error: BaseException) -> None:
        """It was not reached, and will be tried again."""
        if self._since is None:
            self._since = perf_counter()
            telemetry.emit("outage.began", {}, {"what": self._what, "error": error})
        could_not(self._consequence, error)

    def over(self) -> None:
        """It was reached, if it has been away at all."""
        if self._since is not None:
            seconds = perf_counter() - self._since
            self._since = None
            telemetry.emit("outage.ended", {"seconds": seconds}, {"what": self._what})


def could_not(consequence: str, error: BaseException) -> None:
    """Tell what was not done for want of the database; something else sees to it later."""
    telemetry.emit("database.unreachable", {}, {"consequence": consequence, "error": error})
