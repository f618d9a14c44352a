"""Triggers every task of worker.py and prints what comes back. Start it with `make demo`."""

import asyncio
import sys
from uuid import uuid4

from worker import (
    POEM,
    Booking,
    Guest,
    Order,
    Text,
    book,
    call_flaky_service,
    count_words,
    greet,
    hatchet,
    order,
    recite,
    report_uptime,
)

PATIENCE_SECONDS = 60


def show(title: str, result: object) -> None:
    print(f"{title:<22} {result}", flush=True)


async def follow_stream() -> None:
    """Start a run without waiting for it, and print its pieces as they come."""
    ref = await recite.aio_run(wait_for_result=False)
    pieces = []
    async for piece in hatchet.runs.subscribe_to_stream(ref.workflow_run_id):
        show("recite streams", piece.rstrip())
        pieces.append(piece)
    if pieces != list(POEM):
        raise RuntimeError(f"the stream should have had {len(POEM)} pieces: {pieces}")
    result = await ref.aio_result()
    show("recite", f"{result.lines} lines")


async def follow_booking() -> None:
    """Start a durable task, and push the event it waits for."""
    number = str(uuid4())
    ref = await book.aio_run(Booking(number=number, guest="Barbara"), wait_for_result=False)
    show("book", "sleeps, then waits until it is paid")
    await hatchet.event.aio_push("booking:paid", {"cents": 4200}, scope=number)
    confirmed = await ref.aio_result()
    show("book", confirmed.text)


async def demo() -> None:
    greeting = await greet.aio_run(Guest(name="Ada"))
    show("greet", greeting.text)

    counted = await count_words.aio_run(Text(text="to be or not to be"))
    show("count-words", f"{counted.words} words")

    guests = ["Grace", "Alan", "Edsger"]
    greetings = await greet.aio_run_many(
        [greet.create_bulk_run_item(Guest(name=name)) for name in guests]
    )
    show("greet, three at once", ", ".join(greeting.text for greeting in greetings))

    done = await order.aio_run(Order(item="lemonade", quantity=3))
    show("order", done["receipt"]["line"])

    flaky = await call_flaky_service.aio_run()
    show("call-flaky-service", f"worked on attempt {flaky.attempts}")

    await follow_stream()

    await follow_booking()

    uptime = await report_uptime.aio_run()
    show("report-uptime", f"worker has been up for {uptime.seconds:.0f} s")


async def main() -> int:
    print("Triggering every task of examples/quickstart/worker.py\n", flush=True)
    try:
        await asyncio.wait_for(demo(), PATIENCE_SECONDS)
    except TimeoutError:
        print("\nNo result came. Is a worker running? Start one with `make worker`.")
        return 1
    except Exception as error:  # noqa: BLE001  (whatever it was, one line says more than a traceback)
        print(f"\nThis failed: {error}")
        return 1
    print("\nEverything worked. The dashboard shows each of these runs.")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
