"""The tests' handler of telemetry: remembers events, waits for them, and looks whether they are as listed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from engine import telemetry
from engine.telemetry import EVENTS, Measurements, Metadata

PATIENCE_SECONDS = 60.0


class Recorded(NamedTuple):
    name: str
    measurements: Measurements
    metadata: Metadata

    def has(self, wanted: Metadata) -> bool:
        """Whether it tells these values: `task_id` may also be one of its `task_ids`."""
        return all(
            self.metadata[field] == value
            if field in self.metadata
            else value in self.metadata[f"{field}s"]
            for field, value in wanted.items()
        )


class Recorder:
    """Events since `recording` began, oldest first, but for those somebody waited for."""

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self.faults: list[str] = []
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def __call__(self, name: str, measurements: Measurements, metadata: Metadata) -> None:
        event = Recorded(name, dict(measurements), dict(metadata))
        self.faults += faults_of(event)
        self.events.append(event)
        for wake, loop in list(self._waiting.items()):
            loop.call_soon_threadsafe(wake.set)

    def named(self, name: str, **wanted: Any) -> list[Recorded]:
        """Return what has happened, without taking it."""
        return [event for event in self.events if event.name == name and event.has(wanted)]

    def take(self, name: str, **wanted: Any) -> Recorded | None:
        """Return the first such event once, if it has happened."""
        for event in self.named(name, **wanted):
            self.events.remove(event)
            return event
        return None

    async def wait_for(self, name: str, **wanted: Any) -> Recorded:
        """Return the first such event, each once, when it has happened."""
        assert name in EVENTS, f"nothing emits {name}"
        wake = asyncio.Event()
        self._waiting[wake] = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (event := self.take(name, **wanted)) is None:
                    wake.clear()
                    await wake.wait()
        except TimeoutError:
            raise AssertionError(f"no {name} with {wanted} came") from None
        finally:
            del self._waiting[wake]
        return event


def faults_of(event: Recorded) -> list[str]:
    """Return in what way an event is not as it is listed."""
    name, measurements, metadata = event
    listed = EVENTS[name]
    faults = [
        f"{name}: {field} is {value!r}"
        for field, value in measurements.items()
        if type(value) not in (int, float) or value < 0
    ]
    faults += [
        f"{name}: {field} is {value!r}"
        for field, value in metadata.items()
        if field in listed.metadata and not isinstance(value, listed.metadata[field])
    ]
    for given, expected in ((measurements, listed.measurements), (metadata, listed.metadata)):
        if set(given) != set(expected):
            faults.append(f"{name}: has {sorted(given)}, listed are {sorted(expected)}")
    return faults


@contextmanager
def recording(*names: str) -> Iterator[Recorder]:
    """Record these events, or all; they must be as listed."""
    recorder = Recorder()
    with telemetry.attached(recorder, *names):
        yield recorder
    assert not recorder.faults
