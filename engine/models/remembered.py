"""What this process has read of rows that never change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Values by key, up to a weight; what was read first is forgotten first. Threads may share it."""

    def __init__(
        self,
        read: Callable[[Collection[Key]], Mapping[Key, Value]],
        *,
        most: int,
        weigh: Callable[[Value], int] = lambda _: 1,
    ) -> None:
        self._read = read
        self._most = most
        self._weigh = weigh
        self._weight = 0
        self._values: dict[Key, Value] = {}
        self._lock = threading.Lock()

    def of(self, keys: Collection[Key]) -> dict[Key, Value]:
        """Return the values of these keys, reading those that are not known; others have none."""
        with self._lock:
            found = {key: self._values[key] for key in keys if key in self._values}
        if missing := [key for key in dict.fromkeys(keys) if key not in found]:
            read = self._read(missing)
            found |= read
            self._remember(read)
        return found

    def _remember(self, values: Mapping[Key, Value]) -> None:
        with self._lock:
            for key, value in values.items():
                weight = self._weigh(value)
                if key not in self._values and weight <= self._most:
                    self._values[key] = value
                    self._weight += weight
            while self._weight > self._most:
                oldest = next(iter(self._values))
                self._weight -= self._weigh(self._values.pop(oldest))
