"""The closed sets that statements speak of are named there as in engine.states, never by number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.states import Status, TaskEventKind
from engine.store import query
from engine.store.query import SQL_FOLDERS, statements

COLUMNS = "status|kind|trigger|queue_priority|cause|missed|level|source|method|window"
COMPARED = re.compile(
    rf"\b({COLUMNS})\"?\s*(=|<>|<=|>=|<|>|\bIN\b)\s*\(?\s*(CASE\b.*?\bTHEN )?\d", re.DOTALL
)
CHOSEN = re.compile(r"\bCASE status WHEN \d|\bTHEN \d+ ELSE \d+ END")
INSERTED = re.compile(r"INSERT INTO \w+ \(([^)]*)\)\s+SELECT (.*?)\s+FROM\b", re.DOTALL)
COMMENT = re.compile(r"^--.*$", re.MULTILINE)
ENUM_COLUMNS = set(COLUMNS.split("|"))


def columns_of(text: str) -> list[str]:
    """Split at the commas outside of brackets."""
    found, depth = [""], 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return [column.strip() for column in found]


def bare_numbers(text: str) -> list[str]:
    """Return the places of a statement where a member of a closed set is given as a number."""
    code = COMMENT.sub("", text)
    found = [match[0] for match in (*COMPARED.finditer(code), *CHOSEN.finditer(code))]
    for names, values in INSERTED.findall(code):
        pairs = zip(columns_of(names), columns_of(values), strict=False)
        found += [
            f"{name} {value}" for name, value in pairs if name in ENUM_COLUMNS and value.isdigit()
        ]
    return found


@pytest.mark.parametrize(
    "path",
    sorted(path for folder in SQL_FOLDERS for path in folder.glob("*.sql")),
    ids=lambda path: path.stem,
)
def test_no_statement_gives_a_state_by_its_number(path: Path) -> None:
    assert bare_numbers(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 FROM engine_task t WHERE t.status = 1",
        "UPDATE engine_run SET status = CASE WHEN is_dag THEN 1 ELSE status END",
        "SELECT CASE status WHEN 1 THEN a ELSE b END",
        "SELECT 1 WHERE t.status IN (2, 3)",
        "INSERT INTO engine_payload (owner_id, kind, data) SELECT id, 2, output FROM completed",
    ],
)
def test_a_number_is_noticed(text: str) -> None:
    assert bare_numbers(text) != []


def test_a_name_stands_for_its_number() -> None:
    texts = statements()
    assert f"t.status = {int(Status.QUEUED)} AND NOT t.is_delayed" in texts["task.assign"]
    assert f"retry_count, {int(TaskEventKind.ASSIGNED)},\n" in texts["task.assign"]
    assert not any(":Status" in text for text in texts.values())


@pytest.mark.parametrize("name", [":Status.WAITING", ":State.QUEUED", ":Status"])
def test_a_name_that_is_no_number_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "task.sql").write_text(f"-- name: task.wrong\nSELECT {name};\n")
    monkeypatch.setattr(query, "SQL_FOLDERS", [tmp_path])
    with pytest.raises((AttributeError, TypeError)):
        statements.__wrapped__()
