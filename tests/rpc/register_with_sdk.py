"""Register workflows through the official SDK: `python -m tests.rpc.register_with_sdk PORT TOKEN`.

A program of its own: the SDK's generated modules and ours cannot share one process.
"""

import os
import sys
from datetime import timedelta

port, token = sys.argv[1:]
os.environ |= {
    "HATCHET_CLIENT_TOKEN": token,
    "HATCHET_CLIENT_HOST_PORT": f"127.0.0.1:{port}",
    "HATCHET_CLIENT_TLS_STRATEGY": "none",
}

from hatchet_sdk import Context, EmptyModel, Hatchet  # noqa: E402  (it reads the environment)
from pydantic import BaseModel  # noqa: E402

hatchet = Hatchet()


class Order(BaseModel):
    number: int


@hatchet.task(name="Single", input_validator=Order)
def single(order: Order, ctx: Context) -> dict[str, int]:
    return {"number": order.number}


graph = hatchet.workflow(name="Graph", on_events=["order:created"], default_priority=2)


@graph.task(
    retries=3,
    backoff_factor=2.0,
    backoff_max_seconds=10,
    execution_timeout=timedelta(seconds=5),
    schedule_timeout=timedelta(minutes=2),
)
def first(_: EmptyModel, ctx: Context) -> None: ...


@graph.task(parents=[first])
def second(_: EmptyModel, ctx: Context) -> None: ...


@graph.on_failure_task()
def mend(_: EmptyModel, ctx: Context) -> None: ...


@hatchet.durable_task(name="Durable")
async def durable(_: EmptyModel, ctx: Context) -> None: ...


def main() -> None:
    for workflow in (single, graph, durable):
        hatchet._client.admin.put_workflow(workflow.to_proto())


if __name__ == "__main__":
    main()
