"""Requests to Amazon SNS, in the name of a key of a tenant's own: the signature has version 4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlencode

_ARN = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2,3}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}):[0-9]{12}"
    r":[A-Za-z0-9_-]{1,256}(?:\.fifo)?"
)
"""Its partition, its region, its account and its name."""
LONGEST_ARN = 400
TOPIC_EXAMPLE = "arn:aws:sns:eu-west-1:123456789012:name"
_FORM = "application/x-www-form-urlencoded; charset=utf-8"


def can_sign() -> bool:
    """Whether what signs requests is installed."""
    return find_spec("botocore") is not None


def is_topic(arn: str) -> bool:
    return len(arn) <= LONGEST_ARN and _ARN.fullmatch(arn) is not None


def region_of(arn: str) -> str:
    """ValueError: it is none of a topic."""
    match = _ARN.fullmatch(arn)
    if match is None:
        raise ValueError(f"{arn[:100]} is no topic of Amazon SNS")
    return match[2]


def sns_url(arn: str) -> str:
    """Where Amazon SNS takes requests for a topic."""
    suffix = ".cn" if arn.startswith("arn:aws-cn:") else ""
    return f"https://sns.{region_of(arn)}.amazonaws.com{suffix}"


def signed_publish(
    url: str, arn: str, fields: Mapping[str, str], access_key_id: str, secret: str
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a request to publish; they are good for some minutes."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    asked = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": arn, **fields}
    body = urlencode(asked).encode()
    request = AWSRequest("POST", url, headers={"content-type": _FORM}, data=body)
    SigV4Auth(Credentials(access_key_id, secret), "sns", region_of(arn)).add_auth(request)
    return dict(request.headers), body
