"""S3 and KMS as moto serves them, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto.server import ThreadedMotoServer

from engine.payload_config import Bucket

_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Amazon:
    """A server that can be stopped and started again on its port; what it keeps stays."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(port=0, verbose=False)
        self._server.start()
        host, self._port = self._server.get_host_and_port()
        self.url = f"http://{host}:{self._port}"
        self.bucket = Bucket(
            name="payloads", prefix="hatchet/", region="us-east-1", endpoint_url=self.url
        )
        self._is_running = True

    def start(self) -> None:
        self._server = ThreadedMotoServer(port=self._port, verbose=False)
        self._server.start()
        self._is_running = True

    def stop(self) -> None:
        if self._is_running:
            self._is_running = False
            self._server.stop()

    def make_key(self) -> str:
        made = boto3.client("kms").create_key()
        return str(made["KeyMetadata"]["KeyId"])


@contextmanager
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    for name, value in _VARIABLES.items():
        monkeypatch.setenv(name, value)
    started = Amazon()
    monkeypatch.setenv("AWS_ENDPOINT_URL", started.url)
    try:
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=started.bucket.name)
        yield started
    finally:
        started.stop()
