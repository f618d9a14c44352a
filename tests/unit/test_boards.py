"""The boards and alert rules that are shipped are ones that Grafana and Prometheus take."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metrics import ALERTS, BOARDS, alert_rules, expressions

PROMTOOL = shutil.which("promtool")


def load(board: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(board.read_text())
    return loaded


def test_there_is_a_board_of_the_installation_and_one_of_a_tenant() -> None:
    assert [board.name for board in BOARDS] == ["hatchet-tenant.json", "hatchet.json"]
    assert len({load(board)["uid"] for board in BOARDS}) == len(BOARDS)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_can_be_imported(board: Path) -> None:
    """Panels have numbers and places of their own, and read whatever Prometheus is chosen."""
    loaded = load(board)
    (chosen, *_) = loaded["templating"]["list"]
    assert (chosen["name"], chosen["type"], chosen["query"]) == ("datasource",) * 2 + (
        "prometheus",
    )
    panels = loaded["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert target["datasource"]["uid"] == "${datasource}"
            assert target["expr"].count("(") == target["expr"].count(")")


def test_every_alert_says_what_is_wrong_and_how_bad_that_is() -> None:
    rules = alert_rules()
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 10
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"].endswith((".", "?"))


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_takes_every_expression(tmp_path: Path) -> None:
    """Those of boards, too, written as rules; without promtool no more is known than that parentheses match."""
    rules = [
        {"record": f"asked:{number}", "expr": text.replace("$tenant", "a")}
        for number, (_, text) in enumerate(expressions())
    ]
    made = tmp_path / "boards.yaml"
    made.write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": rules}]}))
    checked = subprocess.run(
        [str(PROMTOOL), "check", "rules", str(ALERTS), str(made)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
