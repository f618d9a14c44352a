"""An HTTP client that speaks JSON and, where asked to, as somebody.

Every answer it gets must be as the OpenAPI document describes it.
"""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from tenants.models import User
from tests.api.described import check


class Answer:
    """A response with its body parsed; `operation` is the id of what succeeded."""

    def __init__(self, response: Any) -> None:
        asked = response.wsgi_request
        self.content: bytes = response.getvalue()
        self.operation = check(asked.method, asked.path, response.status_code, self.content)
        self.status: int = response.status_code
        self.headers = response.headers
        self.cookies = response.cookies

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.content.splitlines()]

    @property
    def error(self) -> str:
        description: str = self.json["errors"][0]["description"]
        return description


class ApiClient:
    def __init__(self, *, token: str | None = None, user: User | None = None) -> None:
        # An exception must become an answer here too, as it does in production.
        self.http = Client(raise_request_exception=False)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if user is not None:
            self.http.force_login(user)

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> Answer:
        return Answer(self.http.get(path, query, headers=self._headers | headers))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.send(
            "POST", path, b"" if body is None else json.dumps(body).encode(), **headers
        )

    def patch(self, path: str, body: Any = None) -> Answer:
        return self.send("PATCH", path, json.dumps(body).encode())

    def delete(self, path: str, body: Any = None) -> Answer:
        return self.send("DELETE", path, b"" if body is None else json.dumps(body).encode())

    def send(
        self,
        method: str,
        path: str,
        body: bytes,
        content_type: str = "application/json",
        **headers: str,
    ) -> Answer:
        return Answer(
            self.http.generic(method, path, body, content_type, headers=self._headers | headers)
        )
