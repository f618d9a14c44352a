"""Lists of what this server cannot make yet."""

from __future__ import annotations

from typing import TypedDict

from tenants.rest.answered import Json
from tenants.rest.paging import PaginationResponse


class _NothingYet(TypedDict):
    """Always empty."""

    pagination: PaginationResponse
    rows: list[Json]


class TenantAlertEmailGroupList(_NothingYet): ...


class ListSlackWebhooks(_NothingYet): ...


class ListSNSIntegrations(_NothingYet): ...
