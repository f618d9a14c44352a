"""What a tenant is alerted of, and how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from tenants.access import TenantAccess
from tenants.durations import parse_span
from tenants.models import Tenant
from tenants.people.refusals import Refused

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=7)
_FLAGS = ("alerts_members", "alerts_of_failures", "alerts_of_tokens", "alerts_of_limits")


class Wanted(Protocol):
    """What is None stays as it is. `frequency` is a duration such as 1h."""

    @property
    def alerts_members(self) -> bool | None: ...

    @property
    def alerts_of_failures(self) -> bool | None: ...

    @property
    def alerts_of_tokens(self) -> bool | None: ...

    @property
    def alerts_of_limits(self) -> bool | None: ...

    @property
    def frequency(self) -> str | None: ...


def change_alerts(access: TenantAccess, wanted: Wanted) -> Tenant:
    """Change what is given. Refused: the frequency is none, and nothing is changed."""
    tenant = access.tenant
    changed = {name: getattr(wanted, name) for name in _FLAGS}
    if wanted.frequency is not None:
        changed["alert_frequency_seconds"] = _seconds_of(wanted.frequency)
    given = {
        name: value
        for name, value in changed.items()
        if value is not None and value != getattr(tenant, name)
    }
    if given:
        for name, value in given.items():
            setattr(tenant, name, value)
        tenant.save(update_fields=[*given, "updated_at"])
    return tenant


def _seconds_of(text: str) -> int:
    field = "maxAlertingFrequency"
    try:
        span = parse_span(text)
    except ValueError as error:
        raise Refused(f"{field}: {error}", field=field) from error
    if not SHORTEST <= span <= LONGEST:
        raise Refused(f"{field} must be from 1m to 7d", field=field)
    return int(span.total_seconds())
