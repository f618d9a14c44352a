"""Encrypted payloads say with which key, and nothing that was changed is taken for a payload."""

from __future__ import annotations

import os
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ids import new_id
from engine.vault.envelope import SealingKey, Unreadable, is_sealed, key_of, unseal

KEY_ID, SECRET = new_id(), bytes(range(32))
HEAD_BYTES = 50


def secret_of(key_id: UUID) -> bytes:
    assert key_id == KEY_ID
    return SECRET


@given(st.binary(max_size=200), st.integers(0, 200))
def test_what_is_sealed_comes_back(payload: bytes, times: int) -> None:
    plain = payload * times
    stored = SealingKey(KEY_ID, SECRET).seal(plain)
    assert is_sealed(stored)
    assert key_of(stored) == KEY_ID
    assert int.from_bytes(stored[2:10]) == len(plain)
    assert unseal(stored, secret_of) == plain
    assert len(plain) < 20 or plain not in stored


def test_large_ones_are_compressed_if_that_makes_them_smaller() -> None:
    key = SealingKey(KEY_ID, SECRET)
    assert len(key.seal(b'{"a":1}' * 10_000)) < 2_000
    random = os.urandom(10_000)
    assert len(key.seal(random)) == len(random) + HEAD_BYTES + 16


def test_no_two_are_alike() -> None:
    key = SealingKey(KEY_ID, SECRET)
    assert len({key.seal(b"{}") for _ in range(100)}) == 100


def test_a_copy_of_the_process_does_not_go_on_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    key = SealingKey(KEY_ID, SECRET)
    own = key.seal(b"{}")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    copied = key.seal(b"{}")
    salt = slice(26, 42)
    assert own[salt] != copied[salt]
    assert unseal(own, secret_of) == unseal(copied, secret_of) == b"{}"


@pytest.mark.parametrize("place", [2, 9, 26, 41, 49, 50, -1])
def test_one_that_was_changed_is_unreadable(place: int) -> None:
    stored = bytearray(SealingKey(KEY_ID, SECRET).seal(b'{"a": "some payload"}'))
    stored[place] ^= 1
    with pytest.raises(Unreadable, match="damaged"):
        unseal(bytes(stored), secret_of)


def test_one_that_was_cut_is_unreadable() -> None:
    stored = SealingKey(KEY_ID, SECRET).seal(b'{"a": "some payload"}')
    for length in (HEAD_BYTES, HEAD_BYTES + 15, len(stored) - 1):
        with pytest.raises(Unreadable, match="damaged"):
            unseal(stored[:length], secret_of)
    assert not is_sealed(stored[: HEAD_BYTES - 1])
    assert not is_sealed(b"{}")


def test_another_key_opens_nothing() -> None:
    stored = SealingKey(KEY_ID, SECRET).seal(b"{}")
    with pytest.raises(Unreadable):
        unseal(stored, lambda _: bytes(32))
