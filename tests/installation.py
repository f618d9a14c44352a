"""The configuration of a test: the real one, with addresses and a signing key of its own."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.conf import settings

from engine.config import Config
from engine.pem import new_signing_key

DEFAULT_TENANT_ID = UUID("707d0855-80ab-4e1f-a156-f1c4546cbf52")


def make_installation() -> Config:
    here: Config = settings.HATCHET
    return replace(
        here,
        server_url="http://hatchet.test:8080",
        grpc_broadcast_address="hatchet.test:7070",
        jwt_private_key=new_signing_key(),
        admin_email="Admin@example.com",
        admin_password="Admin123!!",
        default_tenant_id=DEFAULT_TENANT_ID,
        default_tenant_name="Default",
        default_tenant_slug="default",
    )
