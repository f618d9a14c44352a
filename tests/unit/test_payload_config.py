"""What the environment may say of payloads."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import payload_config
from engine.environment import ConfigError, Environment
from engine.payload_config import Bucket, PayloadConfig

DATA = Path("/data")


def read(**variables: str) -> PayloadConfig:
    return PayloadConfig.from_environment(Environment(variables), DATA)


def test_payloads_are_stored_as_they_come_unless_something_else_is_asked_for() -> None:
    assert read() == PayloadConfig()
    assert read().is_plain
    assert read().location is None


def test_a_threshold_alone_means_a_directory() -> None:
    config = read(SERVER_PAYLOAD_STORE_THRESHOLD_BYTES="4096")
    assert (config.threshold_bytes, config.directory) == (4096, DATA / "payloads")
    assert not config.is_plain
    assert config.location == "/data/payloads"


def test_a_bucket_has_a_name_and_perhaps_more() -> None:
    given = {
        "SERVER_PAYLOAD_STORE_KIND": "s3",
        "SERVER_PAYLOAD_STORE_S3_BUCKET": "payloads",
        "SERVER_PAYLOAD_STORE_S3_PREFIX": "/hatchet/",
        "SERVER_PAYLOAD_STORE_S3_REGION": "eu-central-1",
        "SERVER_PAYLOAD_STORE_S3_ENDPOINT_URL": "http://minio:9000",
    }
    config = read(**given)
    bucket = Bucket(
        name="payloads",
        prefix="hatchet/",
        region="eu-central-1",
        endpoint_url="http://minio:9000",
    )
    assert config.bucket == bucket
    assert config.threshold_bytes == 256 * 1024
    assert config.location == "s3://payloads/hatchet/"


def test_no_new_objects_means_that_the_old_ones_stay_readable() -> None:
    config = read(SERVER_PAYLOAD_STORE_KIND="directory", SERVER_PAYLOAD_STORE_THRESHOLD_BYTES="0")
    assert (config.threshold_bytes, config.location) == (None, "/data/payloads")


def test_encryption_is_switched_on_and_may_be_under_a_key_of_kms() -> None:
    assert read(SERVER_ENCRYPTION_PAYLOADS="on").encryption == "on"
    kms = read(
        SERVER_ENCRYPTION_PAYLOADS="on",
        SERVER_ENCRYPTION_AWSKMS_ENABLED="true",
        SERVER_ENCRYPTION_AWSKMS_KEY_ID="alias/hatchet",
    )
    assert kms.kms_key_id == "alias/hatchet"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SERVER_PAYLOAD_STORE_THRESHOLD_BYTES": "12"}, "from 1024 to"),
        ({"SERVER_PAYLOAD_STORE_THRESHOLD_BYTES": "-1"}, "whole number"),
        ({"SERVER_PAYLOAD_STORE_THRESHOLD_BYTES": "9" * 400}, "whole number"),
        ({"SERVER_PAYLOAD_STORE_KIND": "ftp"}, "one of none, directory, s3"),
        ({"SERVER_PAYLOAD_STORE_KIND": "s3"}, "SERVER_PAYLOAD_STORE_S3_BUCKET is needed"),
        (
            {"SERVER_PAYLOAD_STORE_KIND": "none", "SERVER_PAYLOAD_STORE_THRESHOLD_BYTES": "4096"},
            "needs SERVER_PAYLOAD_STORE_KIND",
        ),
        ({"SERVER_ENCRYPTION_PAYLOADS": "maybe"}, "one of off, on, read"),
        ({"SERVER_ENCRYPTION_AWSKMS_ENABLED": "true"}, "AWSKMS_KEY_ID is needed"),
        ({"SERVER_ENCRYPTION_AWSKMS_KEY_ID": "k"}, "needs SERVER_ENCRYPTION_AWSKMS_ENABLED"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        read(**variables)


def test_amazons_services_need_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload_config, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"requirements-aws\.txt"):
        read(SERVER_PAYLOAD_STORE_KIND="s3", SERVER_PAYLOAD_STORE_S3_BUCKET="payloads")
