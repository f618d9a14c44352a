"""What the paths of the API have in common: prefixes and operations."""

from __future__ import annotations

from typing import Any

from tenants.audit.declared import Declared
from tenants.rest.schema import Operation

T = "api/v1/tenants/<str:tenant>"
ST = "api/v1/stable/tenants/<str:tenant>"
TASK = "api/v1/stable/tasks/<str:task>"
RUN = "api/v1/stable/workflow-runs/<str:run>"


def get(identity: str, answer: Any, *, is_public: bool = False) -> Operation:
    return Operation("GET", identity, answer, is_public)


def post(identity: str, answer: Any, audits: Declared | None = None) -> Operation:
    return Operation("POST", identity, answer, audits=audits)
