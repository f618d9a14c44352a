"""Messages to an endpoint, oldest first: what becomes of them, read on from a cursor; sent once more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.rest import in_body, in_query
from tenants.rest.accepted import takes_body, takes_query
from tenants.rest.errors import ApiError
from webhooks.api.endpoint_shapes import message_shape, messages_of, whole_message_shape
from webhooks.api.endpoints import OfEndpoint
from webhooks.models import Dispatch, DispatchState, Message
from webhooks.outgoing import changes
from webhooks.outgoing.queries import dispatches_to

MOST_ROWS = 200
_LAST_POSITION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class MessageSelection:
    """`after` is a cursor, of a message or of a list: the first message has a greater one than 0."""

    after: int = in_query.whole("after", 0, minimum=0, maximum=_LAST_POSITION)
    limit: int = in_query.whole("limit", 50, minimum=1, maximum=MOST_ROWS)
    states: list[DispatchState] = in_query.members("states", DispatchState)


@dataclass(frozen=True, slots=True)
class SendingAnew:
    after: int | None = in_body.optional_whole("after", minimum=0, maximum=_LAST_POSITION)


class MessageListView(OfEndpoint):
    @takes_query(MessageSelection)
    def get(self, request: Request, given: MessageSelection, **_: Any) -> Response:
        found = dispatches_to(self.endpoint).filter(position__gt=given.after).order_by("position")
        if given.states:
            found = found.filter(state__in=given.states)
        dispatches = list(found[: given.limit + 1])
        shown, has_more = dispatches[: given.limit], len(dispatches) > given.limit
        messages = messages_of(shown)
        rows = [
            message_shape(one, messages[one.message_id])
            for one in shown
            if one.message_id in messages
        ]
        last = shown[-1].position if shown else given.after
        return Response({"rows": rows, "nextCursor": str(last), "hasMore": has_more})


class MessageView(OfEndpoint):
    path_ids = ("tenant", "endpoint", "message")
    dispatched: Dispatch
    message: Message

    def check_resource(self) -> None:
        super().check_resource()
        identity = self.ids["message"]
        dispatched = dispatches_to(self.endpoint).filter(message_id=identity).first()
        message = Message.objects.filter(message_id=identity).first()
        if dispatched is None or message is None:
            raise ApiError(404, "there is no such message to this endpoint")
        self.dispatched, self.message = dispatched, message

    def get(self, request: Request, **_: Any) -> Response:
        return self._shown()

    def _shown(self) -> Response:
        may_view = self.access.can_view_payloads
        return Response(whole_message_shape(self.dispatched, self.message, may_view=may_view))


class RedeliverMessageView(MessageView):
    http_method_names = ("post", "options")

    def post(self, request: Request, **_: Any) -> Response:
        """Send it once more, whatever became of it; the answer shows it on its way."""
        changes.send_again(self.dispatched, datetime.now(UTC))
        self.dispatched.refresh_from_db()
        return self._shown()


class SendFailedAgainView(OfEndpoint):
    http_method_names = ("post", "options")

    @takes_body(SendingAnew)
    def post(self, request: Request, given: SendingAnew, **_: Any) -> Response:
        """Send all that was given up once more, or what was after a cursor."""
        now = datetime.now(UTC)
        count = changes.send_failed_again(self.endpoint, given.after or 0, now)
        return Response({"count": count})


class TryEndpointView(OfEndpoint):
    http_method_names = ("post", "options")

    def post(self, request: Request, **_: Any) -> Response:
        """Send a message that says nothing, to see whether it arrives."""
        made = changes.try_endpoint(self.endpoint, datetime.now(UTC))
        dispatched = dispatches_to(self.endpoint).get(id=made)
        message = Message.objects.get(message_id=dispatched.message_id)
        may_view = self.access.can_view_payloads
        return Response(whole_message_shape(dispatched, message, may_view=may_view))
