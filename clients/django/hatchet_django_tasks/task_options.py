"""What Hatchet knows of a task and Django's interface has no word for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_ATTRIBUTE = "_hatchet_options"


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """`concurrency` and `rate_limits` are values of the official SDK, made when the worker asks for them.

    `atomic`: the task runs in a transaction of the backend's database that completes it with its commit,
    so what it writes there is written once, however often it is tried.
    """

    retries: int = 0
    execution_timeout: timedelta = timedelta(seconds=60)
    schedule_timeout: timedelta = timedelta(minutes=5)
    backoff_factor: float | None = None
    backoff_max_seconds: int | None = None
    concurrency: Callable[[], Any] | int | None = None
    rate_limits: Callable[[], Sequence[Any]] | None = None
    atomic: bool = False

    def for_sdk(self) -> dict[str, Any]:
        """Return the arguments of the SDK's `task`."""
        given = asdict(self)
        del given["atomic"]
        for name in ("concurrency", "rate_limits"):
            if callable(given[name]):
                given[name] = given[name]()
        return {name: value for name, value in given.items() if value is not None}


def hatchet(**options: Any) -> Callable[[Function], Function]:
    """Say how Hatchet is to run a task: `@task()` above, `@hatchet(retries=3)` below it.

    TypeError: there is no such option. ValueError: it cannot have that value.
    """
    made = TaskOptions(**options)
    if isinstance(made.retries, bool) or not isinstance(made.retries, int) or made.retries < 0:
        raise ValueError(f"retries must be a whole number from 0 on, not {made.retries!r}")
    for name in ("execution_timeout", "schedule_timeout"):
        value = getattr(made, name)
        if not isinstance(value, timedelta) or value <= timedelta(0):
            raise ValueError(f"{name} must be a timedelta above zero, not {value!r}")

    def mark(function: Function) -> Function:
        setattr(function, _ATTRIBUTE, made)
        return function

    return mark


def options_of(task: Any) -> TaskOptions:
    found: TaskOptions = getattr(task.func, _ATTRIBUTE, TaskOptions())
    return found
