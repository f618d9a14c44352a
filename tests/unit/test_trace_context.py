"""Which trace a run belongs to: what its metadata bring, or what follows from its ids."""

from __future__ import annotations

from uuid import UUID

import orjson
import pytest

from engine.domain.trace_context import (
    TraceContext,
    attempt_span,
    brought_context,
    event_span,
    parse_traceparent,
    run_span,
    span_hex,
    span_of_hex,
    with_traceparent,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "f0f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
RUN, EVENT = (UUID(f"019b0000-0000-7000-8000-00000000000{n}") for n in (1, 2))


def test_a_valid_one_is_read_and_written_again() -> None:
    context = parse_traceparent(GOOD)
    assert context == TraceContext(UUID(TRACE), span_of_hex(SPAN))
    assert context.traceparent == GOOD
    assert -(2**63) <= context.span_id < 2**63


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        GOOD.upper(),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"{GOOD}-more",
        f"{GOOD}\n",
        f"00-{TRACE}-{SPAN}",
        f"cc-{TRACE}-{SPAN}-01-" + "x" * 1_000_000,
    ],
)
def test_what_is_not_valid_counts_as_nothing(text: str) -> None:
    assert parse_traceparent(text) is None


def test_a_later_version_may_say_more() -> None:
    for text in (f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-later"):
        assert parse_traceparent(text) == parse_traceparent(GOOD)


@pytest.mark.parametrize(
    "metadata",
    [b"null", b'["traceparent"]', b"7", b'{"a":1}', b'""', b'{"b":"00-"}', b"-1e400", b'"00"'],
)
def test_what_brings_no_text_brings_nothing(metadata: bytes) -> None:
    assert brought_context(b'{"traceparent":' + metadata + b"}") is None


def test_a_key_may_be_written_with_escapes() -> None:
    assert brought_context(b'{"tr\\u0061ceparent":"%s"}' % GOOD.encode()) == parse_traceparent(GOOD)
    assert brought_context(None) is None
    assert brought_context(b'{"team":"traceparent"}') is None


class TestWhatWorkersGet:
    def test_what_is_brought_stays_as_it_came(self) -> None:
        metadata = b'{ "n":1.50, "traceparent" : "%s" }' % GOOD.encode()
        assert with_traceparent(metadata, RUN, EVENT) is metadata

    @pytest.mark.parametrize(
        "metadata",
        [
            b"{}",
            b" { } ",
            b'{"a":"b"}',
            b' {\n "a" : 1.50 } ',
            b'{"traceparent":"bad"}',
            b'{"traceparent":"00-%s-%s-01"}' % (b"0" * 32, SPAN.encode()),
            b'{"inner":{"traceparent":"%s"}}' % GOOD.encode(),
            b'{"a\\"traceparent":"%s"}' % GOOD.encode(),
            b'{"a":"\\u00e4"}',
            b'{"traceparent":"%s","traceparent":5}' % GOOD.encode(),
        ],
    )
    def test_a_run_without_one_has_that_of_its_own_id(self, metadata: bytes) -> None:
        told = orjson.loads(with_traceparent(metadata, RUN, None))
        assert told.pop("traceparent") == f"00-{RUN.hex}-{span_hex(run_span(RUN))}-01"
        given = orjson.loads(metadata)
        given.pop("traceparent", None)
        assert told == given

    def test_also_one_without_any_metadata(self) -> None:
        told = orjson.loads(with_traceparent(None, RUN, None))
        assert told == {"traceparent": f"00-{RUN.hex}-{span_hex(run_span(RUN))}-01"}

    def test_a_run_of_an_event_is_in_the_events_trace(self) -> None:
        told = orjson.loads(with_traceparent(None, RUN, EVENT))
        assert told == {"traceparent": f"00-{EVENT.hex}-{span_hex(event_span(EVENT))}-01"}


def test_every_stage_has_a_span_of_its_own() -> None:
    ids = {run_span(RUN), event_span(RUN)}
    ids |= {attempt_span(RUN, retry, part) for retry in range(20) for part in range(20)}
    assert len(ids) == 402
    assert attempt_span(RUN, 1) == attempt_span(RUN, 1, 0)
