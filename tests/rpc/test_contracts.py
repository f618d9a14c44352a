"""Our contracts hold everything the official SDK's hold, and the generated code is up to date."""

import filecmp
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proto.generate import generate

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("dispatcher_pb2", "events_pb2", "workflows_pb2", "v1.dispatcher_pb2", "v1.workflows_pb2")


def contracts_of(package: str) -> dict[str, Any]:
    described = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.rpc.describe_contracts",
            *(f"{package}.{module}" for module in MODULES),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    contracts: dict[str, Any] = json.loads(described.stdout)
    return contracts


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return contracts_of("engine.pb")


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    return contracts_of("hatchet_sdk.contracts")


@pytest.mark.parametrize("kind", ["files", "services", "messages", "enums"])
def test_everything_of_the_sdk_is_ours_too(
    kind: str, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    assert theirs[kind], "the SDK described nothing"
    for name, definition in theirs[kind].items():
        assert ours[kind].get(name) == definition, f"{kind} {name} differs from the SDK's"


def test_all_five_services_are_described(ours: dict[str, Any]) -> None:
    assert set(ours["services"]) == {
        "Dispatcher",
        "EventsService",
        "WorkflowService",
        "v1.AdminService",
        "v1.V1Dispatcher",
    }


def test_generated_code_matches_the_proto_sources(tmp_path: Path) -> None:
    generate(tmp_path / "pb")
    fresh = {path.relative_to(tmp_path / "pb") for path in (tmp_path / "pb").rglob("*.py*")}
    kept = {
        path.relative_to(ROOT / "engine" / "pb")
        for path in (ROOT / "engine" / "pb").rglob("*.py*")
        if "__pycache__" not in path.parts
    }
    assert fresh == kept
    for path in fresh:
        assert filecmp.cmp(tmp_path / "pb" / path, ROOT / "engine" / "pb" / path, shallow=False), (
            f"engine/pb/{path} is stale: run python -m proto.generate"
        )
