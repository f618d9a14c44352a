"""What came of a request to an endpoint."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answered:
    """A status, or an error. `retry_after` is in seconds."""

    status: int | None
    error: str = ""
    snippet: str = ""
    seconds: float = 0.0
    retry_after: float | None = None

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300
