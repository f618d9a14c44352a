"""The audit log as a file: lines of JSON or of CSV, made while they are sent."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import warnings
from typing import Any, cast

import pytest
from django.http import StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from tenants.rest.streaming import MOST_AT_ONCE, streamed
from tests.api.client import ApiClient
from tests.api.test_audit import make_entries
from tests.cast import Cast


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}/audit"


def close(answer: StreamingHttpResponse) -> None:
    """Without the signal that a request has ended, which would take the test's connection."""
    for let_go in cast("Any", answer)._resource_closers:
        let_go()


class TestExport:
    def test_as_lines_of_json_the_oldest_first(
        self, cast: Cast, api: ApiClient, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tenants.audit.queries.AT_ONCE", 2)
        made = make_entries(cast, *["cron.create"] * 5, "filter.create")
        answer = api.get(f"{path}/export", {"action": "cron.create"})
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        assert "audit-acme.ndjson" in answer.headers["Content-Disposition"]
        rows = answer.lines
        assert [row["id"] for row in rows] == [str(one.id) for one in made[:5]]
        assert rows[0] == api.get(path).json["rows"][-1]

    def test_as_csv_that_no_spreadsheet_takes_for_formulas(
        self, cast: Cast, api: ApiClient, path: str
    ) -> None:
        make_entries(cast, "cron.create", resource_name="=cmd()", after={"a": 'x,"y"'})
        answer = api.get(f"{path}/export.csv")
        assert answer.headers["Content-Type"] == "text/csv"
        [row] = csv.DictReader(io.StringIO(answer.content.decode()))
        assert row["resource_name"] == "'=cmd()"
        assert json.loads(row["after"]) == {"a": 'x,"y"'}
        assert row["action"] == "cron.create"

    def test_only_so_many_are_sent_at_once(self, cast: Cast, api: ApiClient, path: str) -> None:
        request = RequestFactory().get("/")
        given: dict[str, Any] = {"media_type": "text/plain", "file_name": "x"}
        open_ones = [streamed(request, iter([b"x"]), **given) for _ in range(MOST_AT_ONCE)]
        assert api.get(f"{path}/export").status == 429
        for one in open_ones:
            close(one)
            close(one)
        for _ in range(MOST_AT_ONCE + 1):
            assert api.get(f"{path}/export").status == 200

    def test_it_is_made_piece_by_piece_while_it_is_sent(self) -> None:
        made: list[int] = []

        def pieces() -> Any:
            for number in range(3):
                made.append(number)
                yield str(number).encode()

        async def first_piece() -> bytes:
            request = AsyncRequestFactory().get("/")
            answer = streamed(request, pieces(), media_type="text/plain", file_name="x")
            try:
                async for piece in answer:
                    return bytes(piece)
            finally:
                close(answer)
            raise AssertionError

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert asyncio.run(first_piece()) == b"0"
        assert made == [0]
