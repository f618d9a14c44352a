"""Traces: none are collected yet, and the contract has an answer for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from tenants.rest import in_query
from tenants.rest.accepted import takes_query


@dataclass(frozen=True, slots=True)
class TracedRun:
    run_id: UUID = in_query.required_uuid("run_external_id")


class TracesView(EngineView):
    @takes_query(TracedRun)
    def get(self, request: Request, _run: TracedRun, **_: Any) -> Response:
        return Response({})
