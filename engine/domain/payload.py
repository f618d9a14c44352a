"""The JSON a worker is started with, put together from stored bytes without parsing them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson


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
    return output if output[:1] == b"{" else b"{}"
