"""Limits that an installation enforces for a test."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from pytest_django import Settings

from tenants.resources import Limit, Resource

DAY = 86_400
WINDOWED = (Resource.TASK_RUN, Resource.EVENT)


def enforce(settings: Settings, **values: int) -> None:
    """Enforce these limits alone, with alarms at half of them; `task_run=3`."""
    limits = {}
    for name, value in values.items():
        resource = Resource(name.upper())
        limits[resource] = Limit(value, value // 2, DAY if resource in WINDOWED else None)
    settings.HATCHET = replace(settings.HATCHET, limits=MappingProxyType(limits))
