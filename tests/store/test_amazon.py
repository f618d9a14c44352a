"""The object store over S3 and master keys of KMS, against moto's server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.environment import ConfigError
from engine.errors import PayloadsAway
from engine.ids import new_id
from engine.payload_config import Bucket
from engine.vault.envelope import Unreadable
from engine.vault.masters import Masters
from engine.vault.objects import NoObject, new_key
from engine.vault.s3 import S3
from tests.amazon import Amazon, amazon
from tests.sealed import MASTER

SECRET = bytes(range(32))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    with amazon(monkeypatch) as started:
        yield started


def test_a_bucket_keeps_gives_lists_and_removes(aws: Amazon) -> None:
    store = S3(aws.bucket)
    store.check()
    keys = sorted(str(new_key(new_id(), new_id(), 1)) for _ in range(4))
    for key in keys:
        store.put(key, key.encode())
    assert [store.get(key) for key in keys] == [key.encode() for key in keys]
    assert store.page("") == keys
    assert store.page(keys[1]) == keys[2:]
    store.delete([*keys[:3], "not/there"])
    assert store.page("") == keys[3:]
    with pytest.raises(NoObject):
        store.get(keys[0])
    other = S3(replace(aws.bucket, prefix="other/"))
    assert other.page("") == []


def test_a_bucket_that_is_not_there_is_refused(aws: Amazon) -> None:
    store = S3(Bucket(name="nobodys", region="us-east-1", endpoint_url=aws.url))
    with pytest.raises(ConfigError, match="SERVER_PAYLOAD_STORE_S3_BUCKET"):
        store.check()
    with pytest.raises(PayloadsAway, match="refuses: NoSuchBucket"):
        store.put("key", b"")


def test_a_store_that_is_away_is_not_taken_for_one_without_the_object(aws: Amazon) -> None:
    store = S3(aws.bucket)
    store.put("key", b"content")
    aws.stop()
    for work in (lambda: store.get("key"), lambda: store.put("key", b""), lambda: store.page("")):
        with pytest.raises(PayloadsAway):
            work()
    store.check()  # it may come back
    aws.start()
    assert store.get("key") == b"content"


def test_a_key_of_kms_wraps_data_keys_each_for_its_tenant(aws: Amazon) -> None:
    tenant_id = new_id()
    masters = Masters([MASTER], aws.make_key())
    wrapped = masters.wrap(SECRET, tenant_id)
    assert SECRET not in wrapped
    assert masters.name.startswith("kms:")
    assert masters.unwrap(wrapped, masters.name, tenant_id) == SECRET
    with pytest.raises(Unreadable, match="damaged"):
        masters.unwrap(wrapped, masters.name, new_id())
    before = Masters([MASTER])
    assert masters.unwrap(before.wrap(SECRET, tenant_id), before.name, tenant_id) == SECRET


def test_kms_that_is_away_or_has_no_such_key_is_said_to_be(aws: Amazon) -> None:
    with pytest.raises(PayloadsAway, match="refuses"):
        Masters([MASTER], str(new_id())).wrap(SECRET, new_id())
    masters = Masters([MASTER], aws.make_key())
    wrapped = masters.wrap(SECRET, new_id())
    aws.stop()
    with pytest.raises(PayloadsAway):
        masters.unwrap(wrapped, masters.name, new_id())
