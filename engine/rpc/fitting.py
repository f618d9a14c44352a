"""Messages that would be too large for those they go to: what is left out, and what is said instead.

What cannot be delivered is never left out without a word: its reader would take it for empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import orjson

from engine.config import MEBIBYTE
from engine.errors import ResourceExhausted
from engine.pb import dispatcher_pb2, events_pb2
from engine.pb.v1 import workflows_pb2

_LONG_ERROR = 10_000
_ERROR_TOO_LARGE = "The error is too large to be sent; it is kept with the task."
_ADVICE = (
    "or raise SERVER_GRPC_MAX_MSG_SIZE and what the clients receive "
    "(HATCHET_CLIENT_GRPC_MAX_RECV_MESSAGE_LENGTH in Python)."
)


def size_text(limit: int) -> str:
    return f"{limit / MEBIBYTE:.4g} MiB"


def too_large_to_start(size: int, limit: int) -> str:
    return (
        f"The task's input and its parents' outputs ({size} bytes) are larger than one message "
        f"({size_text(limit)}): have them hold references to large data, {_ADVICE}"
    )


def fit_results(
    message: dispatcher_pb2.WorkflowRunEvent, limit: int
) -> dispatcher_pb2.WorkflowRunEvent:
    """Shorten long errors first; then the largest outputs become errors that say where to read them."""
    if message.ByteSize() > limit:
        _shorten_errors(message.results)
    excess = message.ByteSize() - limit
    for result in sorted(message.results, key=lambda each: -len(each.output)):
        if excess <= 0:
            return message
        notice = _left_out(result.task_run_external_id, len(result.output.encode()), limit)
        excess -= len(result.output.encode()) - len(notice)
        result.ClearField("output")
        result.error = notice
    if message.ByteSize() > limit:
        message.ClearField("results")
        notice = f"The run's results do not fit into one message ({size_text(limit)})."
        message.results.add(error=f"{notice} Read them over REST, {_ADVICE}")
    return message


def fit_details(
    message: workflows_pb2.GetRunDetailsResponse, run_id: str, limit: int
) -> workflows_pb2.GetRunDetailsResponse:
    """Leave out the input first, as whoever asks knows it best; then outputs, as errors of their tasks.

    Those who wait for a run by asking for it again and again look at errors only if it failed: a run
    whose outputs cannot be sent is told as one. ResourceExhausted if nothing helps.
    """
    if message.ByteSize() > limit:
        message.input = orjson.dumps(
            {"too_large": f"The input is too large to be sent along; {_reading_run(run_id)}"}
        )
    tasks = message.task_runs.values()
    if message.ByteSize() > limit:
        _shorten_errors(tasks)
    excess = message.ByteSize() - limit
    if excess <= 0:
        return message
    for task in sorted(tasks, key=lambda each: -len(each.output)):
        if excess > 0:
            notice = _left_out(task.external_id, len(task.output), limit)
            excess -= len(task.output) - len(notice)
            task.ClearField("output")
            task.error = notice
    if message.status == workflows_pb2.COMPLETED:
        message.status = workflows_pb2.FAILED
    if message.ByteSize() > limit:
        text = f"the run does not fit into one message ({size_text(limit)}); {_reading_run(run_id)}"
        raise ResourceExhausted(text)
    return message


def fit_stream_event(
    message: dispatcher_pb2.WorkflowEvent, limit: int
) -> Iterator[dispatcher_pb2.WorkflowEvent]:
    """A chunk goes on in pieces, all with its index; what else is too large gives way to a notice."""
    if message.ByteSize() <= limit:
        yield message
        return
    payload = message.event_payload.encode()
    message.ClearField("event_payload")
    if message.event_type != dispatcher_pb2.RESOURCE_EVENT_TYPE_STREAM:
        notice = _left_out(message.resource_id, len(payload), limit)
        is_output = message.event_type == dispatcher_pb2.RESOURCE_EVENT_TYPE_COMPLETED
        message.event_payload = (
            orjson.dumps({"too_large": notice}).decode() if is_output else notice
        )
        yield message
        return
    for piece in _pieces(payload, limit - message.ByteSize() - 16):
        message.event_payload = piece
        yield message


def fit_event(message: events_pb2.Event, limit: int) -> events_pb2.Event:
    """Ids are added to what was sent, so a full request may not fit back: echo less then."""
    if message.ByteSize() > limit:
        message.ClearField("payload")
        message.ClearField("additional_metadata")
    return message


def fit_events(message: events_pb2.Events, limit: int) -> events_pb2.Events:
    if message.ByteSize() > limit:
        for event in message.events:
            fit_event(event, 0)
    return message


def fit_ids(ids: Sequence[str], limit: int) -> Sequence[str]:
    """What was done to the others was done all the same."""
    return ids[: (limit - 100) // ID_BYTES]


ID_BYTES = 38
"""What an id takes in a list of them."""


def _shorten_errors(
    results: Iterable[dispatcher_pb2.StepRunResult] | Iterable[workflows_pb2.TaskRunDetail],
) -> None:
    for result in results:
        if len(result.error) > _LONG_ERROR:
            result.error = _ERROR_TOO_LARGE


def _left_out(task_id: str, size: int, limit: int) -> str:
    return (
        f"This task's payload of {size} bytes was left out: together with what goes with it, it is "
        f"larger than one message ({size_text(limit)}). The task itself is as REST says: read it there "
        f"(GET /api/v1/stable/tasks/{task_id}), {_ADVICE}"
    )


def _reading_run(run_id: str) -> str:
    return f"read it over REST (GET /api/v1/stable/workflow-runs/{run_id}), {_ADVICE}"


def _pieces(text: bytes, room: int) -> Iterator[str]:
    """Cut between characters, none of which is longer than four bytes."""
    start = 0
    while start < len(text):
        end = min(start + room, len(text))
        while end < len(text) and text[end] & 0xC0 == 0x80:
            end -= 1
        yield text[start:end].decode()
        start = end
