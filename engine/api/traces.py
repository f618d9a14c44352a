"""Traces: none are collected yet, and the contract has an answer for that."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from tenants.rest.errors import bad_request


class TracesView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        if self.query.uuid("run_external_id") is None:
            raise bad_request("run_external_id is required", field="run_external_id")
        return Response({})
