"""`Idempotency-Key`: a POST that is sent again is answered as it was, and done only once."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
from django.http import HttpRequest
from rest_framework.response import Response

from engine.store import answered_requests, sync_db
from engine.store.answered_requests import KeptAnswer, RequestKey
from engine.store.query import Operation, fetch
from tenants.rest.errors import ApiError, bad_request
from tenants.rest.schema import IDEMPOTENCY_KEY

KEPT = timedelta(hours=24)
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class AnsweredBefore(Exception):
    """What was asked has been done."""

    def __init__(self, answer: KeptAnswer) -> None:
        super().__init__()
        self.answer = answer

    def response(self) -> Response:
        body = orjson.Fragment(self.answer.body) if self.answer.body else None
        return Response(body, status=self.answer.status, headers={REPLAYED: "true"})


def wants_one_answer(request: HttpRequest) -> bool:
    return request.method == "POST" and IDEMPOTENCY_KEY in request.headers


def claim(request: HttpRequest, tenant_id: UUID, *, may_view: bool) -> RequestKey:
    """Take a key for the rest of the transaction. AnsweredBefore: the same was asked with it.

    What payloads an answer holds depends on who asked, so that is a part of what was asked.
    """
    text = request.headers[IDEMPOTENCY_KEY]
    if not _KEY.fullmatch(text):
        raise bad_request(f"{IDEMPOTENCY_KEY} must have 1 to 255 printable ASCII characters")
    asked = hashlib.sha256(f"{request.get_full_path()} {may_view}\n".encode())
    asked.update(request.body)
    key = RequestKey(tenant_id, hashlib.sha256(text.encode()).digest(), asked.digest())
    answer = sync_db.run(_find(key, datetime.now(UTC)))
    if answer is not None:
        if answer.request_digest != key.request_digest:
            raise ApiError(422, f"this {IDEMPOTENCY_KEY} was used for another request")
        raise AnsweredBefore(answer)
    return key


def _find(key: RequestKey, now: datetime) -> Operation[KeptAnswer | None]:
    (is_ours,) = yield from fetch(answered_requests.take_turn(key))
    if not is_ours:
        raise ApiError(409, f"a request with this {IDEMPOTENCY_KEY} is being worked on")
    found = yield from fetch(answered_requests.find(key, now))
    return found[0] if found else None


def keep(key: RequestKey, response: Response) -> None:
    body = b"" if response.data is None else orjson.dumps(response.data)
    expires_at = datetime.now(UTC) + KEPT
    sync_db.run(_keep(key, response.status_code, body, expires_at))


def _keep(key: RequestKey, status: int, body: bytes, expires_at: datetime) -> Operation[None]:
    yield from fetch(answered_requests.keep(key, status, body, expires_at))
