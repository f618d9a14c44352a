"""Rules, and the alerts that are open or were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from engine.states import Status
from tenants.rest import in_body, in_query
from tenants.rest.accepted import Parameter, part, read_as, takes_body, takes_query
from tenants.rest.errors import ApiError
from tenants.rest.in_query import UUID_TEXT, list_of
from tenants.rest.paging import Page, count_up_to
from tenants.rest.params import Body, parse_uuid
from webhooks.alerts import changes
from webhooks.alerts.changes import (
    LONGEST_RUNBOOK,
    LONGEST_SILENCE,
    MOST_CHANNELS_OF_RULE,
    NewRule,
)
from webhooks.alerts.kinds import KINDS, MOST_WORKFLOWS
from webhooks.alerts.queries import alerts_of, find_alert, find_rule, notifications_of, rules_of
from webhooks.alerts.settings import LONGEST_NAME
from webhooks.api.alert_shapes import alert_shape, notification_shape, rule_shape
from webhooks.models import Alert, AlertRule

_LARGEST = 1_000_000_000


def _ids(name: str, most: int) -> Any:
    """Sequence[UUID] | None; none at all are allowed."""
    schema = list_of(UUID_TEXT) | {"maxItems": most}

    def read(body: Body) -> Sequence[UUID] | None:
        if not body.has(name):
            return None
        return [parse_uuid(item, name) for item in body.items(name)[: most + 1]]

    return read_as(read, Parameter(name, schema))


def _runbook() -> Any:
    """str | None; a blank one clears it."""
    name = "runbook"
    schema = {"type": "string", "maxLength": LONGEST_RUNBOOK}

    def read(body: Body) -> str | None:
        return body.any_text(name, longest=LONGEST_RUNBOOK) if body.has(name) else None

    return read_as(read, Parameter(name, schema))


@dataclass(frozen=True, slots=True)
class SettingsBody:
    """Those of the rule's kind; what is missing is as usual."""

    threshold: int | None = in_body.optional_whole("threshold", minimum=0, maximum=_LARGEST)
    window_seconds: int | None = in_body.optional_whole(
        "windowSeconds", minimum=1, maximum=_LARGEST
    )
    seconds: int | None = in_body.optional_whole("seconds", minimum=1, maximum=_LARGEST)
    statuses: tuple[Status, ...] = in_body.members("statuses", Status)
    workflow_ids: Sequence[UUID] | None = _ids("workflowIds", MOST_WORKFLOWS)

    @property
    def given(self) -> dict[str, Any]:
        found = {
            "threshold": self.threshold,
            "windowSeconds": self.window_seconds,
            "seconds": self.seconds,
            "statuses": [status.name for status in self.statuses] or None,
            "workflowIds": self.workflow_ids or None,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class NewRuleBody:
    name: str = in_body.text("name", longest=LONGEST_NAME)
    kind: str = in_body.choice("kind", {name: name for name in KINDS}, is_required=True)
    settings: SettingsBody | None = in_body.optional_part("settings", SettingsBody)
    runbook: str | None = _runbook()
    channel_ids: Sequence[UUID] | None = _ids("channelIds", MOST_CHANNELS_OF_RULE)
    is_enabled: bool | None = in_body.optional_flag("isEnabled")


@dataclass(frozen=True, slots=True)
class RuleUpdate:
    """The kind stays. Settings are given as a whole."""

    name: str | None = in_body.optional_text("name", longest=LONGEST_NAME)
    settings: SettingsBody | None = in_body.optional_part("settings", SettingsBody)
    runbook: str | None = _runbook()
    channel_ids: Sequence[UUID] | None = _ids("channelIds", MOST_CHANNELS_OF_RULE)
    is_enabled: bool | None = in_body.optional_flag("isEnabled")

    @property
    def changed(self) -> dict[str, Any]:
        found = {
            "name": self.name,
            "settings": None if self.settings is None else self.settings.given,
            "runbook": self.runbook,
            "channel_ids": self.channel_ids,
            "is_enabled": self.is_enabled,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Silence:
    """For so many seconds; 0 ends a silence."""

    seconds: int = in_body.whole("seconds", minimum=0, maximum=int(LONGEST_SILENCE.total_seconds()))


class RuleListView(EngineView):
    @takes_query(Page)
    def get(self, request: Request, page: Page, **_: Any) -> Response:
        found = rules_of(self.tenant.id)
        rows = [rule_shape(rule) for rule in page.slice(found)]
        return Response(page.answer(rows, count_up_to(found)))

    @takes_body(NewRuleBody)
    def post(self, request: Request, given: NewRuleBody, **_: Any) -> Response:
        new = NewRule(
            name=given.name,
            kind=given.kind,
            settings={} if given.settings is None else given.settings.given,
            runbook=given.runbook or "",
            channel_ids=given.channel_ids or (),
            is_enabled=given.is_enabled is not False,
        )
        return Response(rule_shape(changes.create_rule(self.tenant.id, new, datetime.now(UTC))))


class OfRule(EngineView):
    path_ids: ClassVar[tuple[str, ...]] = ("tenant", "rule")
    rule: AlertRule

    def check_resource(self) -> None:
        found = find_rule(self.tenant.id, self.ids["rule"])
        if found is None:
            raise ApiError(404, "there is no such rule")
        self.rule = found


class RuleView(OfRule):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(rule_shape(self.rule))

    @takes_body(RuleUpdate)
    def patch(self, request: Request, given: RuleUpdate, **_: Any) -> Response:
        changes.update_rule(self.rule, given.changed, datetime.now(UTC))
        return Response(rule_shape(self.rule))

    def delete(self, request: Request, **_: Any) -> Response:
        """Delete a rule. Its alerts end, and nobody is told."""
        shown = rule_shape(self.rule)
        changes.delete_rule(self.rule, datetime.now(UTC))
        return Response(shown)


class SilenceRuleView(OfRule):
    http_method_names = ("post", "options")

    @takes_body(Silence)
    def post(self, request: Request, given: Silence, **_: Any) -> Response:
        """Tell nobody of its alerts for a while."""
        changes.silence_rule(self.rule, given.seconds, datetime.now(UTC))
        return Response(rule_shape(self.rule))


class AlertState(StrEnum):
    OPEN = "OPEN"
    RESOLVED = "RESOLVED"


@dataclass(frozen=True, slots=True)
class AlertSelection:
    """Without states: in either."""

    page: Page = part(Page)
    states: list[AlertState] = in_query.members("states", AlertState)


class AlertListView(EngineView):
    @takes_query(AlertSelection)
    def get(self, request: Request, asked: AlertSelection, **_: Any) -> Response:
        """List alerts, newest first."""
        is_open = asked.states[0] == AlertState.OPEN if len(set(asked.states)) == 1 else None
        found = alerts_of(self.tenant.id, is_open=is_open)
        rows = [alert_shape(alert, self.tenant.slug) for alert in asked.page.slice(found)]
        return Response(asked.page.answer(rows, count_up_to(found)))


class OfAlert(EngineView):
    path_ids: ClassVar[tuple[str, ...]] = ("tenant", "alert")
    alert: Alert

    def check_resource(self) -> None:
        found = find_alert(self.tenant.id, self.ids["alert"])
        if found is None:
            raise ApiError(404, "there is no such alert")
        self.alert = found

    def _shown(self) -> Response:
        return Response(alert_shape(self.alert, self.tenant.slug))


class AlertView(OfAlert):
    def get(self, request: Request, **_: Any) -> Response:
        return self._shown()


class AcknowledgeView(OfAlert):
    http_method_names = ("post", "options")

    def post(self, request: Request, **_: Any) -> Response:
        """Say that somebody cares: nothing more is told of it but its end."""
        user = self.access.user
        who = "an API token" if user is None else user.email
        changes.acknowledge(self.alert, who, datetime.now(UTC))
        return self._shown()


class SilenceAlertView(OfAlert):
    http_method_names = ("post", "options")

    @takes_body(Silence)
    def post(self, request: Request, given: Silence, **_: Any) -> Response:
        """Tell nobody of it for a while."""
        changes.silence_alert(self.alert, given.seconds, datetime.now(UTC))
        return self._shown()


class AlertNotificationsView(OfAlert):
    @takes_query(Page)
    def get(self, request: Request, page: Page, **_: Any) -> Response:
        """What was sent about it, and what became of that; newest first."""
        found = notifications_of(self.alert)
        rows = [notification_shape(one) for one in page.slice(found)]
        return Response(page.answer(rows, count_up_to(found)))
