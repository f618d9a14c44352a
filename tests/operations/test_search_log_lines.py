"""The search in log lines: a stretch at a time, no more lines than it may look at, and none left out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection

from engine.ids import id_at, new_id
from engine.models import LogLine, LogTally, Task
from engine.operations import search_log_lines
from engine.operations.purge_tenants import purge_tenants
from engine.operations.search_log_lines import Found, count_log_lines, find_log_lines
from engine.states import LogLevel
from engine.store import log_lines, sync_db
from engine.store.log_lines import WantedLines
from engine.store.query import fetch, statements
from engine.types import LogInput
from tenants.models import Tenant
from tests.operations.bench import START, Bench
from tests.store.plans import explain


@pytest.fixture
def task(bench: Bench) -> Task:
    return Task.objects.get(run_id=bench.start())


def write(task: Task, messages: Sequence[str], *, at: datetime = START, **options: object) -> None:
    """A line a second, from `at` on."""
    for place, message in enumerate(messages):
        moment = at + timedelta(seconds=place)
        line = LogInput(task.tenant_id, task.id, message, **options)  # type: ignore[arg-type]
        line_id = UUID(int=id_at(moment).int + place)
        assert sync_db.run(fetch(log_lines.insert([line_id], [line], moment))) == [line_id]


def find(
    task: Task,
    wanted: WantedLines | None = None,
    *,
    looked_at: int = 1_000,
    limit: int = 10,
    is_newest_first: bool = True,
    cursor: UUID | None = None,
) -> Found:
    return sync_db.run(
        find_log_lines(
            task.tenant_id,
            wanted or WantedLines(),
            limit=limit,
            is_newest_first=is_newest_first,
            looked_at=looked_at,
            cursor=cursor,
        )
    )


def texts(found: Found) -> list[str]:
    kept = dict(LogLine.objects.values_list("id", "message"))
    return [kept[line.id] for line in found.lines]


@pytest.mark.parametrize("is_newest_first", [True, False])
@pytest.mark.parametrize("stretch", [1, 2, 3, 7, 8, 100])
def test_every_line_is_found_once_whatever_the_stretches(
    task: Task, monkeypatch: pytest.MonkeyPatch, stretch: int, is_newest_first: bool
) -> None:
    monkeypatch.setattr(search_log_lines, "_FIRST_STRETCH", stretch)
    monkeypatch.setattr(search_log_lines, "_STRETCH", stretch)
    write(task, [f"{'even' if n % 2 == 0 else 'odd'} {n}" for n in range(8)])
    wanted, found = WantedLines(text="even"), []
    cursor: UUID | None = None
    for _ in range(9):
        part = find(task, wanted, limit=3, is_newest_first=is_newest_first, cursor=cursor)
        found += texts(part)
        if part.looked_until is None:
            break
        cursor = part.looked_until.id
    else:
        pytest.fail("the search has no end")
    expected = ["even 0", "even 2", "even 4", "even 6"]
    assert found == (expected[::-1] if is_newest_first else expected)
    assert cursor is not None


def test_a_search_looks_at_no_more_lines_than_it_may_and_says_where_it_stopped(task: Task) -> None:
    write(task, ["needle", *["hay"] * 9])
    part = find(task, WantedLines(text="needle"), looked_at=4)
    assert (part.lines, part.looked_until and part.looked_until.created_at) == (
        [],
        START + timedelta(seconds=6),
    )
    for _ in range(2):
        assert part.looked_until is not None
        part = find(task, WantedLines(text="needle"), looked_at=4, cursor=part.looked_until.id)
    assert texts(part) == ["needle"]
    assert part.looked_until is None


def test_a_text_is_what_it_says(task: Task) -> None:
    lines = ["50% of a_b", "50 of aXb", "C:\\dir", "C:dir", "Grüße", "GRÜSSE", ""]
    write(task, lines)
    for text, expected in {
        "0%": ["50% of a_b"],
        "a_b": ["50% of a_b"],
        "A_B": ["50% of a_b"],
        "\\": ["C:\\dir"],
        "c:\\D": ["C:\\dir"],
        "Grüß": ["Grüße"],
        "": lines[::-1],
    }.items():
        assert texts(find(task, WantedLines(text=text))) == expected, text


def test_what_narrows_a_search(task: Task, bench: Bench) -> None:
    write(task, ["first"], level=LogLevel.DEBUG)
    write(task, ["again"], at=START + timedelta(minutes=1), retry_count=1, level=LogLevel.ERROR)
    later = WantedLines(since=START + timedelta(seconds=1))
    assert texts(find(task, later)) == ["again"]
    assert texts(find(task, WantedLines(until=START + timedelta(minutes=1)))) == ["first"]
    assert texts(find(task, WantedLines(attempt=2))) == ["again"]
    assert texts(find(task, WantedLines(levels=[LogLevel.DEBUG]))) == ["first"]
    assert texts(find(task, WantedLines(levels=[LogLevel.ERROR, LogLevel.WARN]))) == ["again"]
    assert len(texts(find(task, WantedLines(step_ids=[task.step_id])))) == 2
    assert texts(find(task, WantedLines(step_ids=[new_id()]))) == []
    assert texts(find(task, WantedLines(step_ids=[]))) == []
    of_task = WantedLines(run_ids=[task.run_id], task_ids=[task.id])
    assert len(texts(find(task, of_task))) == 2
    assert texts(find(task, WantedLines(run_ids=[task.run_id], task_ids=[new_id()]))) == []
    assert texts(find(Task(tenant_id=new_id()))) == []


def counted(task: Task, wanted: WantedLines, *, looked_at: int = 1_000) -> search_log_lines.Counted:
    return sync_db.run(
        count_log_lines(
            task.tenant_id,
            wanted,
            start=START,
            until=START + timedelta(hours=1),
            width=timedelta(minutes=1),
            looked_at=looked_at,
        )
    )


def test_the_tally_and_the_lines_count_the_same(task: Task) -> None:
    for minute in range(3):
        write(task, ["a", "b"], at=START + timedelta(minutes=minute), level=LogLevel.WARN)
    write(task, ["c"], at=START + timedelta(minutes=2, seconds=30), level=LogLevel.INFO)
    expected = {
        (START, LogLevel.WARN): 2,
        (START + timedelta(minutes=1), LogLevel.WARN): 2,
        (START + timedelta(minutes=2), LogLevel.WARN): 2,
        (START + timedelta(minutes=2), LogLevel.INFO): 1,
    }
    for rows in (7, 4):
        by_tally = counted(task, WantedLines())
        assert (by_tally.lines, by_tally.since) == (expected, None)
        assert LogTally.objects.filter(tenant_id=task.tenant_id).count() == rows
        sync_db.run(fetch(log_lines.compact_tallies()))
    one_by_one = counted(task, WantedLines(attempt=1))
    assert {key: number for key, number in one_by_one.lines.items() if number} == expected
    assert counted(task, WantedLines(step_ids=[new_id()])).lines == {}
    warnings = counted(task, WantedLines(levels=[LogLevel.WARN]))
    assert sum(warnings.lines.values()) == 6


def test_a_count_says_since_when_it_is_whole(task: Task) -> None:
    write(task, ["x"] * 10)
    found = counted(task, WantedLines(text="X"), looked_at=4)
    assert sum(found.lines.values()) == 4
    assert found.since == START + timedelta(seconds=6)


def test_counts_are_kept_as_long_as_lines_are(task: Task) -> None:
    write(task, ["old"])
    write(task, ["new"], at=START + timedelta(minutes=5))
    sync_db.run(fetch(log_lines.drop_tallies()))
    assert sum(counted(task, WantedLines()).lines.values()) == 2
    LogLine.objects.filter(message="old").delete()
    sync_db.run(fetch(log_lines.drop_tallies()))
    assert counted(task, WantedLines()).lines == {(START + timedelta(minutes=5), LogLevel.INFO): 1}


def test_a_deleted_tenant_leaves_no_counts(task: Task, bench: Bench) -> None:
    write(task, ["x"])
    Tenant.objects.filter(id=bench.tenant_id).update(deleted_at=START)
    while sync_db.run(purge_tenants(START + timedelta(days=1))):
        pass
    assert not LogTally.objects.filter(tenant_id=bench.tenant_id).exists()
    assert not LogLine.objects.filter(tenant_id=bench.tenant_id).exists()


def test_a_search_reads_the_newest_lines_by_their_index(task: Task) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO engine_logline (id, run_id, task_id, step_id, tenant_id, retry_count, level, message,
                                           created_at)
               SELECT (lpad(to_hex(1770000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
                      %s, %s, %s, CASE WHEN n %% 10 = 0 THEN %s ELSE %s END, 0, CASE n %% 400 WHEN 0 THEN 4 ELSE 2 END,
                      'line ' || n, to_timestamp(1770000000 + n / 1000)
                 FROM generate_series(1, 20000) AS n""",
            [task.run_id, task.id, task.step_id, task.tenant_id, new_id()],
        )
        cursor.execute("ANALYZE engine_logline_default")
    sync_db.run(fetch(log_lines.read_in_order()))
    assert _reads(task) == {"log_line_by_tenant": 500}
    assert _reads(task, LogLevel.ERROR) == {"log_line_grave": 50}


def _reads(task: Task, *levels: LogLevel) -> dict[str | None, int]:
    """How many rows a search for what is nowhere reads, by index."""
    wanted = WantedLines(text="nowhere", levels=levels)
    last = UUID(int=2**128 - 1)
    query = log_lines.newest(task.tenant_id, wanted, last, looked_at=500, limit=10)
    with connection.cursor() as cursor:
        text = cursor.mogrify(statements()[query.name], query.params)
    return {scan.by: scan.rows for scan in explain(text) if scan.rows}
