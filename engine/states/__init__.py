"""The closed sets of values that rows, events and the wire share."""

from enum import IntEnum, StrEnum


class Status(IntEnum):
    """Where a run or a task stands. Numbers equal v1.RunStatus on the wire."""

    QUEUED = 0
    RUNNING = 1
    COMPLETED = 2
    FAILED = 3
    CANCELLED = 4

    @property
    def is_final(self) -> bool:
        return self >= Status.COMPLETED


class TaskEventKind(IntEnum):
    """One thing that happened to a task; names are those of the REST API."""

    QUEUED = 1
    ASSIGNED = 2
    SENT_TO_WORKER = 3
    STARTED = 4
    ACKNOWLEDGED = 5
    FINISHED = 6
    FAILED = 7
    RETRYING = 8
    CANCELLED = 9
    TIMED_OUT = 10
    REASSIGNED = 11
    SLOT_RELEASED = 12
    TIMEOUT_REFRESHED = 13
    RETRIED_BY_USER = 14
    SCHEDULING_TIMED_OUT = 15
    REQUEUED_NO_WORKER = 16
    REQUEUED_RATE_LIMIT = 17
    SKIPPED = 18
    COULD_NOT_SEND_TO_WORKER = 19
    RATE_LIMIT_ERROR = 20
    CREATED = 21
    DURABLE_EVICTED = 22
    DURABLE_RESTORING = 23
    WAITING_FOR_BATCH = 24
    BATCH_FLUSHED = 25


class PayloadKind(IntEnum):
    """What a stored payload is; the owner is a run (input), a task (output, error) or an event."""

    INPUT = 1
    OUTPUT = 2
    ERROR = 3
    EVENT = 4
    FILTER = 5


class CelSource(IntEnum):
    """Where an expression that failed was used."""

    FILTER = 1
    IDEMPOTENCY_KEY = 2


class StepKind(IntEnum):
    TASK = 0
    ON_FAILURE = 1


class Sticky(IntEnum):
    """How firmly a run stays on one worker. Numbers equal StickyStrategy on the wire."""

    SOFT = 0
    HARD = 1


class IdempotencyMethod(IntEnum):
    """Until when an idempotency key is held. Numbers equal IdempotencyMethod on the wire."""

    TTL = 0
    STATUS = 1


class Comparator(IntEnum):
    """How a worker's value is to compare with the desired one. Numbers equal WorkerLabelComparator."""

    EQUAL = 0
    NOT_EQUAL = 1
    GREATER_THAN = 2
    GREATER_THAN_OR_EQUAL = 3
    LESS_THAN = 4
    LESS_THAN_OR_EQUAL = 5

    @property
    def is_ordered(self) -> bool:
        """Whether it compares integers only."""
        return self >= Comparator.GREATER_THAN


class ConditionKind(IntEnum):
    """What a condition of a step listens to."""

    PARENT = 0
    SLEEP = 1
    EVENT = 2


class ConditionAction(IntEnum):
    """What a satisfied condition does; numbers equal v1.Action on the wire."""

    QUEUE = 1
    CANCEL = 2
    SKIP = 3


class ConcurrencyStrategy(IntEnum):
    """What happens to a task whose concurrency group is full. Numbers equal the wire's."""

    CANCEL_IN_PROGRESS = 0
    GROUP_ROUND_ROBIN = 3
    CANCEL_NEWEST = 4
    CANCEL_QUEUED_EXCEPT_NEWEST = 5
    CANCEL_QUEUED_EXCEPT_OLDEST = 6


class DurableKind(IntEnum):
    """What an entry in the log of a durable task is."""

    RUN = 1
    WAIT_FOR = 2
    MEMO = 3


class FlushReason(StrEnum):
    """Why a batch was made when it was; the text is what workers and the event log are told."""

    SIZE = "size"
    INTERVAL = "interval"
    BYTES = "memory"
    REDELIVERY = "redelivery"


class RateLimitWindow(IntEnum):
    """How long a rate limit's units last. Numbers equal RateLimitDuration on the wire."""

    SECOND = 0
    MINUTE = 1
    HOUR = 2
    DAY = 3
    WEEK = 4
    MONTH = 5
    YEAR = 6

    @property
    def seconds(self) -> float:
        """A month is 30 days, a year 365."""
        return _WINDOW_SECONDS[self]


_WINDOW_SECONDS = (1.0, 60.0, 3_600.0, 86_400.0, 604_800.0, 2_592_000.0, 31_536_000.0)


class LogLevel(IntEnum):
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4


class OutboxKind(IntEnum):
    """What a row of the outbox asks for; the functions of `hatchet_v1` write the numbers."""

    ENQUEUE = 0
    EVENT = 1
    SCHEDULE = 2
    CANCEL = 3
    COMPLETE = 4


class BulkKind(IntEnum):
    """What a bulk action does with runs."""

    CANCEL = 0
    REPLAY = 1


class BulkState(IntEnum):
    """A bulk action is STAGED until somebody starts it; one that is STOPPED can be started again."""

    STAGED = 0
    RUNNING = 1
    STOPPED = 2
    COMPLETED = 3
    FAILED = 4


class ErrorState(IntEnum):
    """Whether people want to hear of failures of a kind."""

    OPEN = 0
    RESOLVED = 1
    MUTED = 2


class RunTrigger(IntEnum):
    """What started a run: MANUAL is a client, over gRPC or REST, and PERSON somebody on a page."""

    MANUAL = 0
    EVENT = 1
    CHILD = 2
    CRON = 3
    SCHEDULE = 4
    DURABLE_CHILD = 5
    PERSON = 6


RETRY_QUEUE_PRIORITY = 4
"""Queue priority of every attempt after the first: above what users may ask for (1-3)."""


class MissedPolicy(IntEnum):
    """What a cron does about times it missed: nothing, fire for the latest, or fire for all of them."""

    SKIP = 0
    LATEST = 1
    ALL = 2


class CronMissCause(IntEnum):
    """Why a cron did not fire for a time."""

    STOPPED = 1
    """No engine was running."""
    LATE = 2
    """Engines were running, but could not get at it in time."""
    PAUSED = 3
    """Its workflow was paused."""
    FAILED = 4
    """Its run could not be started."""
    TOO_MANY = 5
    """More had been missed than are made up."""


class SpanKind(IntEnum):
    """The part a span plays between processes. Numbers equal those of OTLP."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class SpanStatus(IntEnum):
    """How what a span is about went. Numbers equal those of OTLP."""

    UNSET = 0
    OK = 1
    ERROR = 2


class TenantMetric(IntEnum):
    """What is counted of a tenant since its beginning, for monitoring systems."""

    CREATED = 1
    RETRIED = 2
    SUCCEEDED = 3
    FAILED = 4
    SKIPPED = 5
    CANCELLED = 6
    ASSIGNED = 7
    SCHEDULING_TIMED_OUT = 8
    RATE_LIMITED = 9
    FIRST_ASSIGNED = 10
    REASSIGNED = 11
    QUEUE_INVOCATIONS = 12
    QUEUE_SECONDS = 13
    """A histogram, as the next one: one row a bucket."""
    RUN_MILLISECONDS = 14


class Timed(IntEnum):
    """Which time of a workflow's runs is told by the minute."""

    QUEUE = 1
    """How long attempts waited for a worker."""
    RUN = 2
    """How long runs took from their start to their end."""
