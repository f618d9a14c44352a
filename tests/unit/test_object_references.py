"""Rows refer to objects whose names say whose they are; files of a directory are objects too."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from engine.domain.payload import (
    action_payload,
    left_out_of,
    length_of,
    mark_later,
    mark_reason,
    reason_of,
    with_left_out,
)
from engine.environment import ConfigError
from engine.errors import PayloadsAway
from engine.ids import new_id
from engine.vault.directory import Directory
from engine.vault.envelope import Unreadable
from engine.vault.objects import (
    LONGEST_REFERENCE,
    NoObject,
    is_reference,
    new_key,
    parse_key,
    parse_reference,
    refer,
    verified,
)

PAYLOAD = b'{"a": "large"}'


def test_a_reference_says_what_the_row_does_not_hold() -> None:
    key = new_key(new_id(), new_id(), 1)
    stored = refer(key, PAYLOAD, b"content")
    assert is_reference(stored)
    assert len(stored) < LONGEST_REFERENCE
    reference = parse_reference(stored)
    assert (reference.length, reference.first, reference.key) == (len(PAYLOAD), b"{", str(key))
    assert verified(reference, b"content") == b"content"
    for other in (b"conten", b"Content", b""):
        with pytest.raises(Unreadable, match="damaged"):
            verified(reference, other)


@pytest.mark.parametrize(
    "text", ["", "../../etc/passwd", "a/b/1-c", f"{UUID(int=1)}/{UUID(int=2)}/1"]
)
def test_names_that_are_not_ours_are_refused(text: str) -> None:
    assert parse_key(text) is None
    forged = refer(new_key(new_id(), new_id(), 1), PAYLOAD, b"")[:43] + text.encode()
    assert not is_reference(forged) or _is_refused(forged)


def _is_refused(stored: bytes) -> bool:
    with pytest.raises(Unreadable, match="damaged"):
        parse_reference(stored)
    return True


def test_a_directory_keeps_gives_lists_and_removes(tmp_path: Path) -> None:
    store = Directory(tmp_path / "payloads")
    store.check()
    tenants, owners = sorted([new_id(), new_id()]), sorted([new_id(), new_id()])
    keys = [str(new_key(t, o, kind)) for t in tenants for o in owners for kind in (1, 2)]
    for key in reversed(keys):
        store.put(key, key.encode())
    assert [store.get(key) for key in keys] == [key.encode() for key in keys]
    assert store.page("") == sorted(keys)
    assert store.page(keys[2]) == sorted(keys)[3:]
    store.delete([keys[0], keys[0], keys[1]])
    assert store.page("") == sorted(keys)[2:]
    with pytest.raises(NoObject):
        store.get(keys[0])
    assert (tmp_path / "payloads" / keys[2]).stat().st_mode & 0o077 == 0


def test_a_directory_that_is_gone_is_away_and_its_objects_are_not_missing(tmp_path: Path) -> None:
    store = Directory(tmp_path / "not" / "there")
    with pytest.raises(PayloadsAway):
        store.get(str(new_key(new_id(), new_id(), 1)))
    (tmp_path / "not").write_text("a file")
    with pytest.raises(PayloadsAway):
        store.put(str(new_key(new_id(), new_id(), 1)), b"")
    with pytest.raises(ConfigError, match="SERVER_PAYLOAD_STORE_DIRECTORY"):
        store.check()


def test_a_start_is_completed_where_payloads_were_left_out() -> None:
    first, second = b"reference one", b"\x00reference two"
    marked = mark_later(first, b"{", len(PAYLOAD)), mark_later(second, b"{", 2)
    start = action_payload(marked[0], parents={"a": marked[1], "b": b'{"b":1}'})
    whole = action_payload(PAYLOAD, parents={"a": b"{}", "b": b'{"b":1}'})
    assert list(left_out_of(start)) == [first, second]
    assert length_of(start) == length_of(whole) == len(whole)
    assert with_left_out(start, iter([PAYLOAD, b"{}"])) == whole
    assert reason_of(start) is reason_of(whole) is None


def test_a_parents_output_that_is_no_object_counts_as_an_empty_one() -> None:
    start = action_payload(b"{}", parents={"a": mark_later(b"reference", b"[", 2)})
    assert start == action_payload(b"{}", parents={"a": b"{}"})


def test_a_start_says_why_something_is_missing() -> None:
    start = action_payload(mark_later(b"r", b"{", 2), parents={"a": mark_reason("It is gone.")})
    assert reason_of(start) == "It is gone."
    assert list(left_out_of(start)) == [b"r"]
    assert reason_of(with_left_out(start, iter([b"{}"]))) == "It is gone."
    assert reason_of(b"{}") is reason_of(b"") is reason_of(None) is None
