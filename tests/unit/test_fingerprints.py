"""Failures that differ in what changes from one to the next are the same; others are not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.fingerprints import (
    LONGEST_FRAME,
    LONGEST_MESSAGE,
    LONGEST_TYPE,
    fingerprint_of,
    normalised,
)


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("card 4242 declined", "card <n> declined"),
        ("took 12.5s, -3 left", "took <n>s, <n> left"),
        ("user 6f9619ff-8b86-d011-b42d-00cf4fc964ff is gone", "user <id> is gone"),
        ("no such customer cus_9f8A7b6", "no such customer cus_<id>"),
        ("commit deadbeef1234 not found", "commit <id> not found"),
        ("<Job object at 0x7f3a8c1b2d30>", "<Job object at <id>>"),
        ("cannot open '/srv/data/2026/05/in.csv'", "cannot open '<path>'"),
        (r"cannot open C:\jobs\9\in.csv", "cannot open <path>"),
        ("GET https://api.example.com/v1/users/42?x=1 failed", "GET <url> failed"),
        ("mail to ann@example.com bounced", "mail to <email> bounced"),
        ("at 2026-05-04T12:00:01.123Z it ended", "at <time> it ended"),
        ("ids [1, 2, 3] and (4,5)", "ids [<n>, …] and (<n>)"),
        ("deadlock detected", "deadlock detected"),
        ("attempt3 of python3", "attempt<n> of python<n>"),
        ('column "a" or b/c', 'column "a" or b/c'),
        ("  spaces \t and\x0btabs ", "spaces and tabs"),
        ("", ""),
    ],
)
def test_what_changes_is_taken_out_of_messages(message: str, wanted: str) -> None:
    assert normalised(message) == wanted


PYTHON = """ValueError: bad amount 17
Traceback (most recent call last):

  File "/app/.venv/lib/python3.12/site-packages/hatchet_sdk/runner/runner.py", line 312, in run
    return await task.call(ctx)

  File "/home/ann/shop/jobs/charge.py", line 40, in charge
    check(amount)

  File "/home/ann/shop/jobs/money.py", line 7, in check
    raise ValueError(f"bad amount {amount}")

  File "/usr/lib/python3.12/decimal.py", line 9, in __new__
    pass
"""
PLAIN_PYTHON = """Traceback (most recent call last):
  File "/srv/a/one.py", line 1, in first
    second()
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/a/two.py", line 5, in second
    raise billing.Declined("card 9") from None
billing.Declined: card 9
"""
NODE = """TypeError: Cannot read properties of undefined (reading 'id7')
    at Object.get (/app/node_modules/axios/index.js:1:2)
    at async chargeCard (/app/src/charge.ts:10:5)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"""
GO = """runtime error: index out of range [5] with length 3
goroutine 7 [running]:
main.charge(0xc000012)
\t/home/ann/shop/charge.go:42 +0x1d"""


@pytest.mark.parametrize(
    ("error", "kind", "message", "frame"),
    [
        (PYTHON, "ValueError", "bad amount <n>", "jobs/money.py in check"),
        (PLAIN_PYTHON, "billing.Declined", "card <n>", "a/two.py in second"),
        (
            NODE,
            "TypeError",
            "Cannot read properties of undefined (reading 'id<n>')",
            "src/charge.ts in chargeCard",
        ),
        (GO, "", "runtime error: index out of range [<n>] with length <n>", "shop/charge.go"),
        ("Task exceeded timeout of 60s", "", "Task exceeded timeout of <n>s", ""),
        ("asyncio.TimeoutError", "asyncio.TimeoutError", "", ""),
        ("KeyboardInterrupt\nTraceback …", "KeyboardInterrupt", "", ""),
        ("\x1b[31mBoom\x1b[0m: no", "Boom", "no", ""),
        ("Error: first\\\nsecond line", "Error", "first", ""),
        ("", "", "", ""),
        ("\n \n", "", "", ""),
        ("\0", "", "", ""),
    ],
)
def test_type_message_and_frame_are_read(error: str, kind: str, message: str, frame: str) -> None:
    found = fingerprint_of(error, "flow:charge")
    assert (found.type, found.message, found.frame) == (kind, message, frame)


def test_only_libraries_in_the_traceback_are_better_than_nothing() -> None:
    error = 'X: y\n  File "/usr/lib/python3.12/json/decoder.py", line 3, in decode\n'
    assert fingerprint_of(error, "a").frame == "json/decoder.py in decode"


def test_the_same_failure_has_one_digest() -> None:
    other = PYTHON.replace("17", "4711").replace("line 7,", "line 9,")
    elsewhere = other.replace("/home/ann/shop", "/srv/releases/shop")
    assert len({fingerprint_of(e, "a").digest for e in (PYTHON, other, elsewhere)}) == 1


@pytest.mark.parametrize(
    "other",
    [
        PYTHON.replace("ValueError", "TypeError"),
        PYTHON.replace("bad amount", "wrong amount"),
        PYTHON.replace("in check", "in verify"),
    ],
)
def test_another_failure_has_another_digest(other: str) -> None:
    assert fingerprint_of(PYTHON, "a").digest != fingerprint_of(other, "a").digest


def test_the_same_error_of_another_step_is_another_failure() -> None:
    assert fingerprint_of("boom", "flow:a").digest != fingerprint_of("boom", "flow:b").digest


@given(st.text(max_size=400), st.text(max_size=20))
def test_any_text_has_a_fingerprint_of_bounded_length(error: str, action: str) -> None:
    found = fingerprint_of(error, action)
    assert len(found.digest) == 16
    assert len(found.type) <= LONGEST_TYPE
    assert len(found.message) <= LONGEST_MESSAGE
    assert len(found.frame) <= LONGEST_FRAME
    assert "\0" not in found.type + found.message + found.frame


@pytest.mark.parametrize(
    "error",
    [
        "9" * 5_000_000,
        "a1" * 2_500_000,
        "/x" * 2_500_000,
        'File "' * 800_000,
        "  at x (" * 600_000,
        "A.b: " * 1_000_000,
        "\n" * 5_000_000,
        "a@" * 2_500_000,
        "\x1b[" * 2_000_000,
    ],
)
def test_hostile_errors_cost_little(error: str) -> None:
    """What takes longer than linear time for such a text would take minutes here."""
    began = time.process_time()
    fingerprint_of(error, "a")
    assert time.process_time() - began < 20
