"""What is written to standard error, and what only when it is asked for."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from hatchet_site.logs import JsonFormatter, WithoutRefusals, logging_config


def record(**extra: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "django.request", "levelno": logging.WARNING} | extra)


@pytest.mark.parametrize(
    ("extra", "is_told"),
    [
        ({}, True),
        ({"status_code": 500}, True),
        ({"status_code": 404}, False),
        ({"status_code": 413}, False),
    ],
)
def test_refused_requests_are_not_told(extra: dict[str, int], is_told: bool) -> None:
    assert WithoutRefusals().filter(record(**extra)) is is_told


@pytest.mark.parametrize(("level", "filters"), [("debug", []), ("info", ["without refusals"])])
def test_but_when_one_asks_for_everything(level: str, filters: list[str]) -> None:
    assert logging_config(level, "json")["handlers"]["stream"]["filters"] == filters


def test_json_lines_have_their_ids_as_fields() -> None:
    line = logging.LogRecord(
        "hatchet.controllers", logging.ERROR, __file__, 1, "task %s held a slot", ("t-1",), None
    )
    written = json.loads(JsonFormatter().format(line))
    assert (written["task_id"], written["message"]) == ("t-1", "task t-1 held a slot")
    assert (written["level"], written["logger"]) == ("error", "hatchet.controllers")
