"""A worker with one example of each first thing to know. Start it with `make worker`."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import cast

from hatchet_sdk import Context, DurableContext, EmptyModel, Hatchet
from pydantic import BaseModel, Field

hatchet = Hatchet()


class Guest(BaseModel):
    name: str = Field(min_length=1)


class Greeting(BaseModel):
    text: str


@hatchet.task(name="greet", input_validator=Guest)
def greet(input: Guest, ctx: Context) -> Greeting:
    """The plainest task: checked input, an ordinary function, typed output."""
    return Greeting(text=f"Welcome, {input.name}!")


class Text(BaseModel):
    text: str


class WordCount(BaseModel):
    words: int


@hatchet.task(name="count-words", input_validator=Text)
async def count_words(input: Text, ctx: Context) -> WordCount:
    """An async task: one worker runs many of these at once."""
    await asyncio.sleep(0.1)
    return WordCount(words=len(input.text.split()))


class Order(BaseModel):
    item: str
    quantity: int = Field(gt=0)


class Price(BaseModel):
    cents: int


class Receipt(BaseModel):
    line: str


order = hatchet.workflow(name="order", input_validator=Order)


@order.task()
def price(input: Order, ctx: Context) -> Price:
    return Price(cents=250 * input.quantity)


@order.task(parents=[price])
async def receipt(input: Order, ctx: Context) -> Receipt:
    """The second task of a workflow starts when its parent is done, and reads its output."""
    total = ctx.task_output(price).cents
    return Receipt(line=f"{input.quantity} x {input.item}: {total / 100:.2f}")


class Attempts(BaseModel):
    attempts: int


@hatchet.task(name="call-flaky-service", retries=3)
def call_flaky_service(input: EmptyModel, ctx: Context) -> Attempts:
    """Fails twice; each failure is retried without anybody's help."""
    if ctx.attempt_number < 3:
        raise ConnectionError(f"nobody answers (attempt {ctx.attempt_number})")
    return Attempts(attempts=ctx.attempt_number)


class Poem(BaseModel):
    lines: int


POEM = (
    "A task that waits in line\n",
    "will not be lost when servers fall;\n",
    "it runs again in time,\n",
    "or tells you why it won't at all.\n",
)


@hatchet.task(name="recite", execution_timeout=timedelta(seconds=30))
async def recite(input: EmptyModel, ctx: Context) -> Poem:
    """Sends its output piece by piece while it runs, and writes log lines beside it."""
    await asyncio.sleep(0.5)  # pieces are not kept: whoever started this run needs time to listen
    for number, line in enumerate(POEM, start=1):
        ctx.log(f"reciting line {number} of {len(POEM)}")
        await ctx.aio_put_stream(line)
        await asyncio.sleep(0.3)
    return Poem(lines=len(POEM))


class Booking(BaseModel):
    number: str = Field(min_length=1)
    guest: str = Field(min_length=1)


class Confirmed(BaseModel):
    text: str


@hatchet.durable_task(name="book", input_validator=Booking)
async def book(input: Booking, ctx: DurableContext) -> Confirmed:
    """Sleeps, waits for an event, and starts another task; it may do so for days and survives restarts."""
    await ctx.aio_sleep_for(timedelta(seconds=1), label="let the guest think it over")
    paid = await ctx.aio_wait_for_event(
        "booking:paid",
        "input.cents > 0",
        scope=input.number,
        lookback_window=timedelta(hours=1),  # the event may have come before this line is reached
    )
    greeting = await greet.aio_run(Guest(name=input.guest))
    return Confirmed(text=f"{greeting.text} Paid: {paid['cents'] / 100:.2f}")


class Shared(BaseModel):
    """What every task of this worker may use: a connection pool, a loaded model."""

    opened_at: datetime


async def lifespan() -> AsyncGenerator[Shared, None]:
    """Runs once before the first task of the worker, and after the last."""
    print("worker: opening what all tasks share")
    yield Shared(opened_at=datetime.now(UTC))
    print("worker: closing it again")


class Uptime(BaseModel):
    opened_at: datetime
    seconds: float


@hatchet.task(name="report-uptime")
def report_uptime(input: EmptyModel, ctx: Context) -> Uptime:
    opened_at = cast("Shared", ctx.lifespan).opened_at
    age = datetime.now(UTC) - opened_at
    return Uptime(opened_at=opened_at, seconds=age.total_seconds())


def main() -> None:
    worker = hatchet.worker(
        "quickstart-worker",
        slots=20,
        workflows=[greet, count_words, order, call_flaky_service, recite, book, report_uptime],
        lifespan=lifespan,
    )
    worker.start()


if __name__ == "__main__":
    main()
