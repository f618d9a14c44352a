"""Slack's channels, as the contract has them: a browser goes to Slack and comes back with one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponseRedirect
from rest_framework.request import Request
from rest_framework.response import Response

from engine.alerting_config import SlackConfig
from engine.api.not_offered import SWITCHED_OFF
from engine.api.views import EngineView
from tenants.access import AccessDenied, access_of_user
from tenants.models import Role, Tenant
from tenants.rest.accepted import takes_query
from tenants.rest.errors import bad_request
from tenants.rest.paging import Page, count_up_to
from tenants.rest.views import UserView
from webhooks.alert_models import ChannelKind
from webhooks.alerts import slack
from webhooks.alerts.channel_changes import delete_channel
from webhooks.alerts.queries import channels_of
from webhooks.api.alert_groups import ChannelByItself
from webhooks.api.alert_shapes import slack_shape


def _app() -> SlackConfig:
    found = slack.app()
    if found is None:
        raise bad_request(SWITCHED_OFF)
    return found


class SlackListView(EngineView):
    """Those that came from Slack itself: of a URL that was entered by hand nobody knows the team."""

    @takes_query(Page)
    def get(self, request: Request, page: Page, **_: Any) -> Response:
        found = channels_of(self.tenant.id, ChannelKind.SLACK).exclude(settings__teamId="")
        rows = [slack_shape(channel) for channel in page.slice(found)]
        return Response(page.answer(rows, count_up_to(found)))


class SlackView(ChannelByItself):
    path_ids = ("slack",)
    kind = ChannelKind.SLACK
    http_method_names = ("delete", "options")

    def delete(self, request: Request, **_: Any) -> Response:
        delete_channel(self.channel)
        return Response(status=204)


class SlackStartView(EngineView):
    """The way to Slack. It begins something, though it is a GET."""

    limited_methods = ("GET",)
    reading_needs = Role.MEMBER
    refuses_tokens = True

    def get(self, request: Request, **_: Any) -> HttpResponseRedirect:
        return HttpResponseRedirect(slack.leave_for(request._request, _app(), self.tenant.id))


class SlackCallbackView(UserView):
    """The way back, for whoever left from here: what was added is shown in the dashboard."""

    limited_methods = ("GET",)
    _tenant: Tenant | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "GET":
            return
        self._config = _app()
        try:
            tenant = Tenant.objects.filter(id=slack.tenant_of(request._request)).first()
            if tenant is not None and tenant.archived_at is None:
                access_of_user(self.user, tenant, Role.MEMBER)
                self._tenant = tenant
            else:
                self._problem = "This tenant takes nothing new."
        except slack.NotAdded as error:
            self._problem = str(error)
        except AccessDenied:
            self._problem = "You may not add channels to this tenant."

    @property
    def audited_tenant(self) -> UUID | None:
        return None if self._tenant is None else self._tenant.id

    def get(self, request: Request, **_: Any) -> HttpResponseRedirect:
        inner = request._request
        if self._tenant is None:
            messages.error(inner, self._problem)
            return HttpResponseRedirect("/")
        try:
            made = slack.come_back(inner, self._config, self._tenant.id, datetime.now(UTC))
            messages.success(inner, f"{made.name} of Slack is told of alerts from now on.")
        except slack.NotAdded as error:
            messages.error(inner, str(error))
        return HttpResponseRedirect(f"/t/{self._tenant.slug}/alerts/channels")
