"""For how long a tenant keeps what; its owners and admins change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from engine.operations.retention.choose import (
    Period,
    choose_period,
    forget_period,
    read_periods,
)
from engine.store import sync_db
from tenants.durations import shown_kept
from tenants.models import Role
from tenants.rest import in_body
from tenants.rest.accepted import takes_body
from tenants.rest.errors import AnyDict


@dataclass(frozen=True, slots=True)
class WantedPeriod:
    """A duration such as `720h` or `30d`; without one, what holds for the installation."""

    kind: str = in_body.text("kind", longest=100)
    period: str | None = in_body.optional_text("period", longest=100)


class RetentionView(EngineView):
    """What is shortened is removed within a day; what is gone does not come back."""

    writing_needs: ClassVar[Role] = Role.ADMIN

    def get(self, request: Request, **_: Any) -> Response:
        return Response(_shape(self.tenant.id))

    @takes_body(WantedPeriod)
    def patch(self, request: Request, wanted: WantedPeriod, **_: Any) -> Response:
        tenant_id = self.tenant.id
        if wanted.period is None:
            sync_db.run(forget_period(tenant_id, wanted.kind))
        else:
            sync_db.run(choose_period(tenant_id, wanted.kind, wanted.period))
        return Response(_shape(tenant_id))


def _shape(tenant_id: UUID) -> AnyDict:
    config = settings.HATCHET.retention
    periods = sync_db.run(read_periods(tenant_id, config))
    return {"isEnabled": config.is_enabled, "rows": [_row(period) for period in periods]}


def _row(period: Period) -> AnyDict:
    return {
        "kind": period.kind.name,
        "period": shown_kept(period.kept.total_seconds()),
        "default": shown_kept(period.default.total_seconds()),
        "isDefault": period.own is None,
    }
