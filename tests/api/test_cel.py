"""The endpoint that tries out expressions: always an answer, never a failure."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.client import ApiClient
from tests.api.load import failures_of
from tests.cast import Cast


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/stable/tenants/{cast.tenant.id}/cel/debug"


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ({"expression": "input.n == 1", "input": {"n": 1}}, True),
        ({"expression": "input.n > payload.least", "filterPayload": {"least": 3}}, False),
        ({"expression": "additional_metadata.a == 'b'", "additionalMetadata": {"a": "b"}}, True),
    ],
)
def test_true_or_false(api: ApiClient, path: str, body: dict[str, Any], output: bool) -> None:
    answer = api.post(path, {"input": {"n": 1}} | body)
    assert (answer.status, answer.json) == (200, {"status": "SUCCESS", "output": output})
    assert failures_of([["debug", "V1CELDebugResponse", answer.json]]) == {}


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("input.missing == 1", "no such key"),
        ("input.n", "neither true nor false"),
        ("1 +", "Syntax error"),
        ("", "blank"),
        ("nope", "undeclared reference"),
    ],
)
def test_everything_else_is_an_error_in_words(
    api: ApiClient, path: str, expression: str, error: str
) -> None:
    answer = api.post(path, {"expression": expression, "input": {"n": 1}})
    assert (answer.status, answer.json["status"]) == (200, "ERROR")
    assert error in answer.json["error"]
    assert "output" not in answer.json
    assert failures_of([["debug", "V1CELDebugResponse", answer.json]]) == {}


@pytest.mark.parametrize("body", [{}, {"expression": 1, "input": {}}, {"expression": "true"}, []])
def test_a_body_of_another_shape_is_refused(api: ApiClient, path: str, body: Any) -> None:
    assert api.post(path, body).status == 400


def test_a_viewer_may_try(cast: Cast, path: str) -> None:
    viewer = ApiClient(user=cast.viewer)
    assert viewer.post(path, {"expression": "true", "input": {}}).json["output"] is True


@pytest.mark.parametrize(
    ("expression", "given"),
    [
        (
            "input.l.map(a, input.l.map(b, input.l.map(c, [a, b, c]))).size() > 0",
            {"l": list(range(2000))},
        ),
        ("input.l.all(a, checksum(input.s) != '')", {"l": [1] * 9000, "s": "x" * 200_000}),
        (
            "input.l.map(a, string(bytes(input.s))).size() > 0",
            {"l": [1] * 9000, "s": "x" * 200_000},
        ),
    ],
)
def test_a_viewer_cannot_hurt_the_process(
    cast: Cast, path: str, expression: str, given: Any
) -> None:
    answer = ApiClient(user=cast.viewer).post(path, {"expression": expression, "input": given})
    assert (answer.status, answer.json["status"]) == (200, "ERROR")
    assert answer.json["error"].startswith(("the expression ", "the evaluation ", "Iteration"))
