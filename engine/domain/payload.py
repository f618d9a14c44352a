"""The JSON a worker is started with, put together from stored bytes without parsing them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping

import orjson

MARK = b"\0"
"""Encloses what stands for a payload that is not there; no JSON text has one."""
_REASON = b"!"
_NOT_THERE = (b"{", _REASON)


def action_payload(
    run_input: bytes,
    *,
    parents: Mapping[str, bytes] | None = None,
    errors: Mapping[str, bytes] | None = None,
    satisfied: Mapping[str, bytes] | None = None,
    filter_payload: bytes | None = None,
    by_event: bool = False,
) -> bytes:
    """Return the payload of a START action.

    `run_input` and the values of `parents` are JSON texts; a parent without an output, or with one that
    is not an object, counts as `{}`. `errors`, for an on-failure task, are the texts workers sent.
    `satisfied` is, by data key, what met the conditions the task waited for. `filter_payload` is
    that of the filter which let the run's event pass. `by_event` says that an event started the run.
    Each of the JSON texts may be a mark of one that is not there.
    """
    parts = [b'{"input":', run_input, b',"parents":{']
    for index, (name, output) in enumerate((parents or {}).items()):
        parts += [b"," if index else b"", orjson.dumps(name), b":", _object(output)]
    parts += [b'},"triggered_by":', b'"event"' if by_event else b'"manual"', b',"triggers":{']
    for name, data in (satisfied or {}).items():
        parts += [orjson.dumps(name), b":", _object(data), b","]
    parts += [b'"filter_payload":', filter_payload or b"null"]
    parts.append(b'},"user_data":null,"overrides":null')
    if errors is not None:
        texts = {name: error.decode(errors="replace") for name, error in errors.items()}
        parts += [b',"step_run_errors":', orjson.dumps(texts)]
    parts.append(b"}")
    return b"".join(parts)


def _object(output: bytes) -> bytes:
    is_object = output[:1] == b"{" or (output[:1] == MARK and output[1:2] in _NOT_THERE)
    return output if is_object else b"{}"


# Marks


def mark_later(stored: bytes, first: bytes, length: int) -> bytes:
    """Return what stands for a payload of this length, which begins with `first` and is not read yet."""
    return MARK + first + b"%d:" % length + b64encode(stored) + MARK


def mark_reason(sentence: str) -> bytes:
    """Return what stands for a payload that cannot be read, and says why."""
    return MARK + _REASON + sentence.encode() + MARK


def reason_of(data: bytes | None) -> str | None:
    """Return why there is a mark, or something with one in it, instead of a payload; None: there is none."""
    marks = data.split(MARK)[1::2] if data and MARK in data else ()
    found = (mark for mark in marks if mark[:1] == _REASON)
    return next((mark[1:].decode(errors="replace") for mark in found), None)


def left_out_of(start: bytes) -> Iterator[bytes]:
    """Yield what the marks of payloads that are not read yet were made of, in order."""
    for mark in start.split(MARK)[1::2]:
        if mark[:1] != _REASON:
            yield b64decode(mark.partition(b":")[2])


def with_left_out(start: bytes, payloads: Iterator[bytes]) -> bytes:
    """Put payloads where `left_out_of` found their marks."""
    parts = start.split(MARK)
    for number in range(1, len(parts), 2):
        is_reason = parts[number][:1] == _REASON
        parts[number] = MARK + parts[number] + MARK if is_reason else next(payloads)
    return b"".join(parts)


def length_of(start: bytes) -> int:
    """Return how long it is when all payloads are in it."""
    if MARK not in start:
        return len(start)
    parts = start.split(MARK)
    marks = (mark for mark in parts[1::2] if mark[:1] != _REASON)
    return sum(map(len, parts[::2])) + sum(int(mark[1:].partition(b":")[0]) for mark in marks)
