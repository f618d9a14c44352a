"""What a tenant may have only so much of, and how much it has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.operations.read_usage import Usage, read_usage
from engine.store import sync_db
from tenants.durations import shown_kept
from tenants.models import Tenant
from tenants.rest.errors import AnyDict
from tenants.rest.render import metadata, timestamp


class ResourcePolicyView(EngineView):
    """Without limits, as long as none are enforced, there are none to list."""

    def get(self, request: Request, **_: Any) -> Response:
        found = sync_db.run(read_usage(self.tenant.id, datetime.now(UTC)))
        limits = [_shape(usage, self.tenant) for usage in found if usage.resource.is_in_contract]
        return Response({"limits": limits})


def _shape(usage: Usage, tenant: Tenant) -> AnyDict:
    identity = uuid5(NAMESPACE_URL, f"{tenant.id}/{usage.resource.value}")
    window = usage.window_seconds
    return without_nones(
        {
            "metadata": metadata(identity, tenant.created_at, tenant.updated_at),
            "resource": usage.resource.value,
            "limitValue": usage.most,
            "value": usage.value,
            "alarmValue": usage.alarm,
            "window": None if window is None else shown_kept(window),
            "lastRefill": None if usage.since is None else timestamp(usage.since),
        }
    )
