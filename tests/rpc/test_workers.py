"""Registration, heartbeats, labels, slots and deadlines."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from engine.errors import FailedPrecondition, NotFound
from engine.ids import new_id
from engine.pb import dispatcher_pb2 as pb
from engine.types import WorkerRegistration
from tests.recorder import recording
from tests.rpc.client import TENANT_ID, Client, refusal
from tests.rpc.recording_engine import NOW, RecordingEngine

ID = new_id()


async def test_registration_is_normalised(client: Client, engine: RecordingEngine) -> None:
    answer = await client.call(
        "Dispatcher/Register",
        pb.WorkerRegisterRequest(
            worker_name="worker-1",
            actions=["Orders:Fetch", "orders:fetch", "orders:pay:Now"],
            services=["default"],
            slot_config={"default": 5, "gpu": 1},
            labels={
                "zone": pb.WorkerLabels(str_value="eu"),
                "memory": pb.WorkerLabels(int_value=0),
            },
            runtime_info=pb.RuntimeInfo(
                sdk_version="1.43.1",
                language=pb.PYTHON,
                language_version="3.11",
                os="linux",
                extra="x",
            ),
        ),
    )
    assert (answer.tenant_id, answer.worker_id, answer.worker_name) == (
        str(TENANT_ID),
        str(engine.ids[0]),
        "worker-1",
    )
    assert engine.calls["register_worker"] == [
        (
            TENANT_ID,
            WorkerRegistration(
                name="worker-1",
                actions=("orders:fetch", "orders:pay:now"),
                slots={"default": 5, "gpu": 1},
                labels={"zone": "eu", "memory": 0},
                sdk_version="1.43.1",
                language="PYTHON",
                language_version="3.11",
                os="linux",
                runtime_extra="x",
            ),
        )
    ]


@pytest.mark.parametrize(
    ("options", "slots"), [({}, {"default": 100}), ({"slots": 7}, {"default": 7})]
)
async def test_slots_have_an_older_form_and_a_default(
    options: dict[str, Any], slots: dict[str, int], client: Client, engine: RecordingEngine
) -> None:
    await client.call("Dispatcher/Register", pb.WorkerRegisterRequest(worker_name="w", **options))
    assert engine.calls["register_worker"][0][1].slots == slots


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"worker_name": ""}, "worker_name"),
        ({"worker_name": "two words"}, "worker_name"),
        ({"worker_name": "w" * 256}, "worker_name"),
        ({"services": ["bad/one"]}, "services"),
        ({"actions": ["lonely"]}, "actions"),
        ({"actions": [":task"]}, "actions"),
        ({"actions": ["a:b:c:d"]}, "actions"),
        ({"slots": 1, "slot_config": {"default": 1}}, "slot_config"),
        ({"slot_config": {"default": -1}}, "slot_config"),
        ({"slot_config": {"": 1}}, "slot_config"),
        ({"slot_config": {f"s{n}": 1 for n in range(1_001)}}, "slot_config: at most"),
        (
            {"labels": {f"l{n}": pb.WorkerLabels(int_value=1) for n in range(1_001)}},
            "labels: at most",
        ),
        ({"actions": ["a:b"] * 50_001}, "actions: at most"),
        ({"labels": {"a": pb.WorkerLabels()}}, "labels"),
        ({"labels": {"a": pb.WorkerLabels(str_value="x", int_value=1)}}, "labels"),
        ({"labels": {"a": pb.WorkerLabels(str_value="nul\0")}}, "labels"),
        ({"labels": {"": pb.WorkerLabels(str_value="x")}}, "labels"),
        ({"webhook_id": "abc"}, "webhook_id"),
        ({"runtime_info": pb.RuntimeInfo(os="\0")}, "runtime_info.os"),
    ],
)
async def test_a_registration_is_refused_by_field(
    options: dict[str, Any], named: str, client: Client, engine: RecordingEngine
) -> None:
    request = pb.WorkerRegisterRequest(**({"worker_name": "w"} | options))
    code, message = await refusal(client.call("Dispatcher/Register", request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert named in message
    assert not engine.calls


async def test_workers_beat_leave_and_change_labels(
    client: Client, engine: RecordingEngine
) -> None:
    await client.call("Dispatcher/Heartbeat", pb.HeartbeatRequest(worker_id=str(ID)))
    left = await client.call(
        "Dispatcher/Unsubscribe", pb.WorkerUnsubscribeRequest(worker_id=str(ID))
    )
    labelled = await client.call(
        "Dispatcher/UpsertWorkerLabels",
        pb.UpsertWorkerLabelsRequest(worker_id=str(ID), labels={"n": pb.WorkerLabels(int_value=3)}),
    )
    assert (left.tenant_id, left.worker_id) == (str(TENANT_ID), str(ID))
    assert (labelled.tenant_id, labelled.worker_id) == (str(TENANT_ID), str(ID))
    assert engine.calls == {
        "record_heartbeat": [(TENANT_ID, ID)],
        "unsubscribe_worker": [(TENANT_ID, ID)],
        "upsert_labels": [(TENANT_ID, ID, {"n": 3})],
    }


async def test_a_running_task_moves_its_deadline_and_gives_its_slot_back(
    client: Client, engine: RecordingEngine
) -> None:
    answer = await client.call(
        "Dispatcher/RefreshTimeout",
        pb.RefreshTimeoutRequest(task_run_external_id=str(ID), increment_timeout_by="1m30s"),
    )
    await client.call("Dispatcher/ReleaseSlot", pb.ReleaseSlotRequest(task_run_external_id=str(ID)))
    assert answer.timeout_at.ToDatetime(tzinfo=NOW.tzinfo) == NOW
    assert engine.calls == {
        "refresh_timeout": [(TENANT_ID, ID, "1m30s", 90.0)],
        "release_slot": [(TENANT_ID, ID)],
    }


@pytest.mark.parametrize(
    ("method", "request_message"),
    [
        ("Heartbeat", pb.HeartbeatRequest(worker_id="nope")),
        ("Heartbeat", pb.HeartbeatRequest(worker_id=f"{{{ID}}}")),
        ("Unsubscribe", pb.WorkerUnsubscribeRequest(worker_id=str(ID).replace("-", ""))),
        ("UpsertWorkerLabels", pb.UpsertWorkerLabelsRequest()),
        ("RefreshTimeout", pb.RefreshTimeoutRequest(increment_timeout_by="1s")),
        ("ReleaseSlot", pb.ReleaseSlotRequest(task_run_external_id="z" * 36)),
        (
            "RefreshTimeout",
            pb.RefreshTimeoutRequest(task_run_external_id=str(ID), increment_timeout_by="-1s"),
        ),
        (
            "RefreshTimeout",
            pb.RefreshTimeoutRequest(task_run_external_id=str(ID), increment_timeout_by="1d"),
        ),
    ],
)
async def test_malformed_ids_and_durations_are_refused(
    method: str, request_message: Any, client: Client, engine: RecordingEngine
) -> None:
    code, _ = await refusal(client.call(f"Dispatcher/{method}", request_message))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert not engine.calls


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (NotFound("worker not found"), grpc.StatusCode.NOT_FOUND, "worker not found"),
        (FailedPrecondition("not active"), grpc.StatusCode.FAILED_PRECONDITION, "not active"),
        (RuntimeError("password=hunter2"), grpc.StatusCode.INTERNAL, "internal error"),
    ],
)
async def test_errors_become_statuses_and_bugs_tell_nothing(
    failure: Exception,
    code: grpc.StatusCode,
    message: str,
    client: Client,
    engine: RecordingEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine.failure = failure
    with recording("grpc.refused") as recorder:
        call = client.call("Dispatcher/Heartbeat", pb.HeartbeatRequest(worker_id=str(ID)))
        assert await refusal(call) == (code, message)
    assert recorder.named("grpc.refused", method="Dispatcher.Heartbeat", code=code.name)
    logged = [record for record in caplog.records if record.name == "engine.rpc.errors"]
    assert bool(logged) is (code is grpc.StatusCode.INTERNAL)


async def test_a_long_message_is_cut_to_what_a_client_accepts(
    client: Client, engine: RecordingEngine
) -> None:
    engine.failure = NotFound("é" * 100_000)
    call = client.call("Dispatcher/Heartbeat", pb.HeartbeatRequest(worker_id=str(ID)))
    code, message = await refusal(call)
    assert code is grpc.StatusCode.NOT_FOUND
    assert message == "é" * 1_000


async def test_the_version_is_one_that_every_sdk_can_read(client: Client) -> None:
    answer = await client.call("Dispatcher/GetVersion", pb.GetVersionRequest())
    assert answer.version.startswith("v")
    assert tuple(map(int, answer.version[1:].split("."))) >= (0, 111, 0)
    assert len(answer.version.split(".")) == 3


async def test_overrides_are_answered_without_effect(
    client: Client, engine: RecordingEngine
) -> None:
    await client.call("Dispatcher/PutOverridesData", pb.OverridesData(path="a", value="b"))
    assert not engine.calls
