"""Master keys wrap data keys, each for its tenant; an older one unwraps as long as it is there."""

from __future__ import annotations

import pytest

from engine.ids import new_id
from engine.vault.envelope import Unreadable
from engine.vault.masters import Masters

OLD, NEW = "the old master key 0123", "the new master key 0123"
SECRET = bytes(range(32))


def test_a_key_comes_back_for_its_tenant_only() -> None:
    masters, tenant_id = Masters([OLD]), new_id()
    wrapped = masters.wrap(SECRET, tenant_id)
    assert SECRET not in wrapped
    assert masters.unwrap(wrapped, masters.name, tenant_id) == SECRET
    with pytest.raises(Unreadable, match="damaged"):
        masters.unwrap(wrapped, masters.name, new_id())
    with pytest.raises(Unreadable, match="damaged"):
        masters.unwrap(wrapped[:-1], masters.name, tenant_id)


def test_the_first_key_wraps_and_all_unwrap() -> None:
    tenant_id = new_id()
    before, both = Masters([OLD]), Masters([NEW, OLD])
    wrapped = before.wrap(SECRET, tenant_id)
    assert both.name != before.name
    assert both.unwrap(wrapped, before.name, tenant_id) == SECRET
    renewed = both.wrap(SECRET, tenant_id)
    assert Masters([NEW]).unwrap(renewed, both.name, tenant_id) == SECRET


def test_a_key_that_is_not_here_is_said_to_be_missing() -> None:
    tenant_id = new_id()
    wrapped = Masters([OLD]).wrap(SECRET, tenant_id)
    for name in (Masters([OLD]).name, "kms:alias/some", ""):
        with pytest.raises(Unreadable, match="not here"):
            Masters([NEW]).unwrap(wrapped, name, tenant_id)


def test_names_tell_nothing_of_keys() -> None:
    assert OLD not in Masters([OLD]).name
    assert Masters([OLD]).name == Masters([OLD, NEW]).name
