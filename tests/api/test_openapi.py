"""The API's own description, and the page that says what is compatible, tell the truth."""

from __future__ import annotations

import json
import re
from pathlib import Path
from uuid import uuid4

import pytest
from drf_spectacular.validation import validate_schema

from engine.api.not_offered import LEGACY, SWITCHED_OFF
from tenants.rest.views import NOT_YET
from tests.api.client import ApiClient
from tests.cast import Cast

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = ROOT / "tests" / "api" / "openapi.json"
HEALTH = {"readiness:get", "liveness:get"}
REFUSALS = (NOT_YET, LEGACY, SWITCHED_OFF, "not offered yet", "nothing answers", "there is no such")


def documented() -> list[tuple[str, str, str, str]]:
    """The rows of the REST tables: method, path, operation and status."""
    text = (ROOT / "docs" / "compatibility.md").read_text()
    row = re.compile(r"^\| (\w+) \| `(/api/[^`]*)` \| `([^`]+)` \| (.+?) \|", re.MULTILINE)
    return row.findall(text)


def test_the_description_has_not_changed_unnoticed(db: None) -> None:
    """To accept: manage.py spectacular --format openapi-json --file tests/api/openapi.json."""
    answer = ApiClient().get("/api/v1/openapi.json")
    assert answer.status == 200
    assert answer.json == json.loads(SNAPSHOT.read_text())


def test_the_page_lists_as_working_exactly_what_is_described() -> None:
    described = {
        operation["operationId"]
        for operations in json.loads(SNAPSHOT.read_text())["paths"].values()
        for operation in operations.values()
    }
    working = {identity for _, _, identity, status in documented() if status.startswith("works")}
    assert working - HEALTH == described


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for method, path, _, status in documented() if not status.startswith("works")],
)
def test_what_does_not_work_says_so(cast: Cast, method: str, path: str) -> None:
    filled = path.replace("{tenant}", str(cast.tenant.id))
    filled = re.sub(r"{\w+}", str(uuid4()), filled)
    answer = ApiClient(user=cast.owner).send(method, filled, b"{}")
    assert answer.status in {400, 404, 405}
    if answer.status != 405:
        assert any(refusal in answer.error for refusal in REFUSALS)


def test_the_description_is_one() -> None:
    validate_schema(json.loads(SNAPSHOT.read_text()))  # type: ignore[no-untyped-call]  # it has no types
