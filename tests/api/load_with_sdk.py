"""Run in a process of its own: load answers with the official SDK's models and report what breaks.

Each line of stdin is a JSON list of [label, model name, answer]; each answer a line with a JSON
object label -> error.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from hatchet_sdk.clients.rest import models


def load(model_name: str, answer: Any) -> None:
    if model_name.startswith("["):
        for item in answer:
            load(model_name.strip("[]"), item)
        return
    model = getattr(models, model_name)
    loaded = model(answer) if isinstance(answer, str) else model.from_dict(answer)
    assert loaded is not None
    if isinstance(answer, dict):
        lost = set(answer) - set(loaded.to_dict()) - ALLOWED_EXTRAS.get(model_name, set())
        assert not lost, f"the model does not know {sorted(lost)}"


ALLOWED_EXTRAS: dict[str, set[str]] = {
    "APIErrors": {"message"},
    "CronWorkflows": {"missed", "missedFires"},
    "ScheduledWorkflows": {"failure"},
    "Tenant": {"archivedAt"},
    "TenantInvite": {"link"},
    "Worker": {"trouble"},
}


def failures_of(found: list[Any]) -> dict[str, str]:
    failures = {}
    for label, model_name, answer in found:
        try:
            load(model_name, answer)
        except Exception as error:  # noqa: BLE001  (every kind of failure is the finding)
            failures[label] = f"{type(error).__name__}: {error}"
    return failures


def main() -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(failures_of(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
