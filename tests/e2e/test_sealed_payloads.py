"""Encrypted payloads in a bucket with the official SDK, which notices nothing of it, even of an outage."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.amazon import Amazon, amazon
from tests.e2e.stack import Stack, open_stack
from tests.e2e.tenant import Tenant

LARGE = 200_000


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    with amazon(monkeypatch) as started:
        yield started


@pytest.fixture
def stack(aws: Amazon, tmp_path: Path) -> Iterator[Stack]:
    stack = open_stack(
        tmp_path,
        {
            "SERVER_ENCRYPTION_PAYLOADS": "on",
            "SERVER_ENCRYPTION_AWSKMS_ENABLED": "true",
            "SERVER_ENCRYPTION_AWSKMS_KEY_ID": aws.make_key(),
            "SERVER_PAYLOAD_STORE_KIND": "s3",
            "SERVER_PAYLOAD_STORE_THRESHOLD_BYTES": "100000",
            "SERVER_PAYLOAD_STORE_S3_BUCKET": aws.bucket.name,
            "SERVER_PAYLOAD_STORE_S3_ENDPOINT_URL": aws.url,
        },
    )
    yield stack
    stack.close()


@pytest.fixture
def tenant(stack: Stack, tmp_path: Path) -> Iterator[Tenant]:
    tenant = Tenant.create(stack, tmp_path / "tenant")
    yield tenant
    tenant.close()


def test_results_arrive_also_after_an_outage_of_the_bucket(
    aws: Amazon, stack: Stack, tenant: Tenant
) -> None:
    engine = stack.start_engine()
    stack.start_web()
    tenant.start_worker("large")
    client = tenant.start_client("large")
    assert client.call("run_one", size=10) == 10
    assert client.call("run_three", size=LARGE) == dict.fromkeys(
        ("first", "second", "third"), LARGE
    )
    aws.stop()
    with ThreadPoolExecutor(1) as thread:
        late = thread.submit(client.call, "run_one", size=LARGE)
        engine.wait_for_output("payloads wait")
        aws.start()
        assert late.result() == LARGE
    with psycopg.connect(stack.database_url) as opened:
        stored = opened.execute("SELECT data FROM engine_payload WHERE kind IN (1, 2)").fetchall()
    assert len(stored) > 6
    assert all(bytes(data)[:1] == b"\0" and len(data) < 400 for (data,) in stored)
