"""A worker with the official SDK whose tasks take a moment; its environment says where the engine is."""

import asyncio

from hatchet_sdk import Context, EmptyModel, Hatchet

hatchet = Hatchet()


@hatchet.task(name="bench-recovery", execution_timeout="5m", schedule_timeout="2h")
async def bench_recovery(workflow_input: EmptyModel, context: Context) -> dict[str, bool]:
    await asyncio.sleep(0.2)
    return {"ok": True}


if __name__ == "__main__":
    hatchet.worker("bench-recovery", slots=10, workflows=[bench_recovery]).start()
