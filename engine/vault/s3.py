"""Objects of a bucket that speaks S3. Only whoever is configured for it has boto3 imported."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from engine.environment import ConfigError
from engine.errors import PayloadsAway
from engine.payload_config import Bucket
from engine.vault.objects import NoObject

_CONNECT_SECONDS, _READ_SECONDS = 2, 10
_CONNECTIONS = 32
_PAGE = 500
_MISSING = ("NoSuchKey", "404")
_REFUSED = (
    "NoSuchBucket",
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "403",
    "404",
)


class S3:
    """One bucket; keys begin with the prefix that is configured."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def put(self, key: str, content: bytes) -> None:
        self._ask("put_object", Key=self._bucket.prefix + key, Body=content)

    def get(self, key: str) -> bytes:
        from botocore.exceptions import BotoCoreError

        answer = self._ask("get_object", Key=self._bucket.prefix + key)
        try:
            return bytes(answer["Body"].read())
        except (BotoCoreError, OSError) as error:
            raise PayloadsAway(f"the object store broke off: {error}") from error

    def delete(self, keys: Sequence[str]) -> None:
        objects = [{"Key": self._bucket.prefix + key} for key in keys]
        answer = self._ask("delete_objects", Delete={"Objects": objects, "Quiet": True})
        if errors := answer.get("Errors"):
            raise PayloadsAway(f"the object store refuses: {errors[0].get('Message')}")

    def page(self, after: str) -> list[str]:
        prefix = self._bucket.prefix
        start = {"StartAfter": prefix + after} if after else {}
        answer = self._ask("list_objects_v2", Prefix=prefix, MaxKeys=_PAGE, **start)
        return [found["Key"][len(prefix) :] for found in answer.get("Contents", ())]

    def check(self) -> None:
        """Refuse a bucket that is not ours; one that cannot be reached may come back."""
        from botocore.exceptions import ClientError

        try:
            self._ask("list_objects_v2", MaxKeys=1)
        except (NoObject, PayloadsAway) as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and _code_of(cause) in _REFUSED:
                raise ConfigError(
                    f"SERVER_PAYLOAD_STORE_S3_BUCKET: {self._bucket.name} cannot be used ({cause})."
                ) from None

    def _ask(self, method: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, method)(Bucket=self._bucket.name, **arguments)
        except ClientError as error:
            if method == "get_object" and _code_of(error) in _MISSING:
                raise NoObject(arguments["Key"]) from error
            raise PayloadsAway(f"the object store refuses: {_code_of(error)}") from error
        except BotoCoreError as error:
            raise PayloadsAway("the object store cannot be reached") from error

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            region_name=self._bucket.region,
            endpoint_url=self._bucket.endpoint_url,
            config=Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"total_max_attempts": 1},
                max_pool_connections=_CONNECTIONS,
                s3={"addressing_style": "path"} if self._bucket.endpoint_url else {},
            ),
        )


def _code_of(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
