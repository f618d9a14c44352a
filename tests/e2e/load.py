"""A tenant under load, and what must be true of it however engine and database were treated."""

from __future__ import annotations

import time
from collections import Counter
from typing import Self

from engine.states import Status
from tests.e2e.tenant import Client, Tenant, WorkerProcess

SETTLE_SECONDS = 90.0


class Load:
    """Runs that are triggered without a pause while something is done to the installation."""

    def __init__(self, tenant: Tenant, worker: str = "steady") -> None:
        self.tenant = tenant
        self.client: Client = tenant.start_client("load")
        self.client.call("register")
        self.worker: WorkerProcess = tenant.start_worker(worker)

    def __enter__(self) -> Self:
        self.client.call("start_load")
        self.wait_for_progress(40)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait_for_progress(self, count: int) -> None:
        """Return when that many more runs were accepted and executed than now."""
        for name in ("accepted", "executed"):
            before = len(self.tenant.marks(name))
            self.tenant.wait_for_marks(name, before + count, SETTLE_SECONDS)

    def finish(self) -> list[str]:
        """Stop the load and wait until every accepted run is completed; return their ids.

        They must get fewer at least every SETTLE_SECONDS.
        """
        accepted: list[str] = self.client.call("stop_load", seconds=SETTLE_SECONDS)

        def unfinished() -> Counter[str]:
            statuses = self.tenant.statuses(accepted)
            names = (statuses[run].name if run in statuses else "LOST" for run in accepted)
            return Counter(name for name in names if name != Status.COMPLETED.name)

        fewest, deadline = len(accepted) + 1, 0.0
        while left := unfinished():
            if left.total() < fewest:  # a slow machine may take its time, as long as it gets on
                fewest, deadline = left.total(), time.monotonic() + SETTLE_SECONDS
            assert time.monotonic() < deadline, f"of {len(accepted)} runs were left: {left}"
            time.sleep(0.2)
        return accepted

    def executions(self) -> Counter[str]:
        """How often each task was executed."""
        return Counter(line.split()[0] for line in self.tenant.marks("executed"))

    def assert_once_each(self) -> None:
        again = {task: times for task, times in self.executions().items() if times > 1}
        stories = {task: self.tenant.task_history(task) for task in list(again)[:5]}
        assert not again, f"{len(again)} tasks were executed more than once: {stories}"
