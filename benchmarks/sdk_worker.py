"""A worker written with the official SDK; its environment says where the engine is."""

from hatchet_sdk import Context, EmptyModel, Hatchet

hatchet = Hatchet()


@hatchet.task(name="bench-sdk", execution_timeout="30m", schedule_timeout="2h")
async def bench_sdk(workflow_input: EmptyModel, context: Context) -> dict[str, bool]:
    return {"ok": True}


if __name__ == "__main__":
    hatchet.worker("bench-sdk", slots=100, workflows=[bench_sdk]).start()
