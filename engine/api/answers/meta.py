"""What the server says of itself."""

from __future__ import annotations

from typing import TypedDict


class APIMetaAuth(TypedDict):
    schemes: list[str]


class APIMeta(TypedDict):
    auth: APIMetaAuth
    allowSignup: bool
    allowInvites: bool
    allowCreateTenant: bool
    allowChangePassword: bool
    observabilityEnabled: bool
    prometheusServerEnabled: bool
    authDisabled: bool


class APIMetaIntegration(TypedDict):
    name: str
    enabled: bool


class InfoGetVersion(TypedDict):
    version: str
