"""Every event is listed with its fields; handlers hear what they asked for and harm nobody."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from engine import telemetry
from engine.ids import new_id
from engine.runtime.telemetry_log import LINES, log_events, write_line
from engine.telemetry import EVENTS
from tests.recorder import Recorded, faults_of, recording

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "telemetry.md"
PACKAGES = ("engine", "dashboard", "hatchet_site", "tenants", "webhooks")
OF_SPANS, OF_IDS = {"outcome"}, {"tenant_id"}
TENANT = new_id()


class Emission(NamedTuple):
    where: str
    call: str
    name: str
    fields: set[str]
    """Measurements and metadata together, but for those a span adds in its block."""


def emissions() -> Iterator[Emission]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path != Path(telemetry.__file__) and "telemetry." in (text := path.read_text()):
                yield from _emissions_in(str(path.relative_to(ROOT)), ast.parse(text))


def _emissions_in(where: str, module: ast.Module) -> Iterator[Emission]:
    functions = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for function in functions:
        for node in ast.walk(function):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name("telemetry"), attr=("emit" | "emit_ids" | "span") as call
                    ),
                    args=[ast.Constant(str(name)), *rest],
                ):
                    yield Emission(where, call, name, _fields(call, rest, function, functions))
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name("telemetry"), attr="emit" | "emit_ids" | "span"
                    )
                ):
                    raise AssertionError(
                        f"{where}: an event's name must be written where it is emitted"
                    )


def _fields(call: str, given: list[ast.expr], function: Any, functions: list[Any]) -> set[str]:
    if call == "emit_ids":
        assert isinstance(given[0], ast.Constant)
        return {"count", "tenant_id", str(given[0].value)}
    return {key for node in given for key in _keys(node, function, functions)}


def _keys(node: ast.expr, function: Any, functions: list[Any]) -> set[str]:
    """The keys of a dict that is written there, is given a name in the function, or is a method's answer."""
    match node:
        case ast.Dict():
            assert all(isinstance(key, ast.Constant) for key in node.keys), ast.unparse(node)
            return {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
        case ast.Name(name):
            named = [
                (line.lineno, line.value)
                for line in ast.walk(function)
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == name
            ]
            *_, (_, value) = sorted(pair for pair in named if pair[0] < node.lineno)
            return _keys(value, function, functions)
        case ast.Call(func=ast.Attribute(attr=name)):
            (method,) = [each for each in functions if each.name == name]
            (answer,) = [line for line in ast.walk(method) if isinstance(line, ast.Return)]
            assert answer.value is not None
            return _keys(answer.value, method, functions)
    raise AssertionError(f"write the fields where they can be read: {ast.unparse(node)}")


EMISSIONS = list(emissions())


@pytest.mark.parametrize("emission", EMISSIONS, ids=lambda e: f"{e.where}:{e.name}")
def test_what_is_emitted_is_listed(emission: Emission) -> None:
    listed = EVENTS[emission.name]
    fields = {*listed.measurements, *listed.metadata}
    if emission.call == "span":
        assert emission.fields <= fields
        assert {"seconds", "outcome"} <= fields
    else:
        assert emission.fields == fields


def test_what_is_listed_is_emitted() -> None:
    assert {emission.name for emission in EMISSIONS} == EVENTS.keys()


def test_the_page_lists_the_events() -> None:
    text = PAGE.read_text()
    rows = "\n".join(
        f"| `{name}` | {event.about} | {_listed(event.measurements)} | {_listed(event.metadata)} |"
        for name, event in EVENTS.items()
    )
    assert re.findall(r"^\| `.*$", text, re.MULTILINE) == rows.split("\n")


def _listed(fields: Any) -> str:
    return ", ".join(f"`{field}`" for field in fields)


def test_a_handler_hears_what_it_asked_for_until_it_is_detached() -> None:
    heard: list[tuple[str, Any, Any]] = []

    def hear(*event: Any) -> None:
        heard.append(event)

    telemetry.attach(hear, "race.lost")
    assert telemetry.is_heard("race.lost", "loop.tick")
    assert not telemetry.is_heard("loop.tick")
    telemetry.emit("race.lost", {}, {"what": "reports"})
    telemetry.emit("hint.sent", {"hints": 1, "live": 0})
    telemetry.detach(hear)
    assert not telemetry.is_heard("race.lost")
    telemetry.emit("race.lost", {}, {"what": "reports"})
    assert heard == [("race.lost", {}, {"what": "reports"})]


def test_nobody_can_wait_for_what_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"task\.complete"):
        telemetry.attach(print, "task.complete")
    assert not telemetry.is_heard(*EVENTS)


def test_a_handler_that_fails_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of order")

    with telemetry.attached(fail), recording() as recorder:
        telemetry.emit("race.lost", {}, {"what": "reports"})
    assert recorder.named("race.lost", what="reports")
    assert "a handler of race.lost failed" in caplog.text
    assert "out of order" in caplog.text


def test_ids_are_told_by_tenant() -> None:
    other, ids = new_id(), [new_id() for _ in range(3)]
    with recording() as recorder:
        telemetry.emit_ids(
            "runs.triggered", "run_ids", zip((TENANT, other, TENANT), ids, strict=True)
        )
    first, second = recorder.named("runs.triggered")
    assert (first.measurements["count"], first.metadata["run_ids"]) == (2, [ids[0], ids[2]])
    assert second.metadata == {"tenant_id": other, "run_ids": [ids[1]]}


def test_ids_are_not_even_read_when_nobody_hears_of_them() -> None:
    def read(_: int) -> tuple[UUID, UUID]:
        raise AssertionError

    telemetry.emit_ids("runs.triggered", "run_ids", map(read, range(1)))


def test_a_span_tells_how_its_block_ended() -> None:
    with recording() as recorder:
        with telemetry.span("loop.tick", {"loop": "clock"}):
            pass
        with pytest.raises(LookupError), telemetry.span("loop.tick", {"loop": "clock"}):
            raise LookupError
    done, failed = recorder.named("loop.tick", loop="clock")
    assert (done.metadata["outcome"], failed.metadata["outcome"]) == ("done", "LookupError")


@pytest.mark.parametrize(
    "event",
    [
        Recorded("race.lost", {}, {}),
        Recorded("race.lost", {"count": 1}, {"what": "reports"}),
        Recorded("race.lost", {}, {"what": 3}),
        Recorded("hint.sent", {"hints": 1, "live": True}, {}),
    ],
)
def test_the_recorder_notices_what_is_not_as_listed(event: Recorded) -> None:
    assert faults_of(event)


@pytest.mark.parametrize("name", LINES)
def test_a_log_line_names_fields_its_event_has(name: str) -> None:
    named = set(re.findall(r"%\((\w+)\)", LINES[name].text))
    assert named <= {*EVENTS[name].measurements, *EVENTS[name].metadata}


def test_the_log_is_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hatchet")
    log_events()
    try:
        counts = {"seconds": 0.1, "workers": 1, "running": 2, "waiting": 3}
        telemetry.emit("scheduler.rebuilt", counts, {"tenant_id": TENANT, "epoch": 4})
        lost = {"tenant_id": TENANT, "engine_id": new_id(), "epoch": 4}
        telemetry.emit("lease.given_up", {}, lost)
        away = {"postponed": "reports: database", "error": OSError("away")}
        telemetry.emit("database.unreachable", {}, away)
        refused = {"method": "Dispatcher.Register", "code": "NOT_FOUND", "message": "worker"}
        telemetry.emit("grpc.refused", {}, refused)
    finally:
        telemetry.detach(write_line)
    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        (
            "INFO",
            f"tenant {TENANT}: scheduling 1 workers, 2 running, 3 waiting tasks under epoch 4",
        ),
        ("INFO", f"tenant {TENANT}: no longer ours (epoch 4)"),
        ("WARNING", "reports: database: away"),
    ]
