"""An installation as tenants sees it, with a key of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from engine.config import new_signing_key


@dataclass(frozen=True, slots=True)
class InstallationValues:
    server_url: str = "http://hatchet.test:8080"
    grpc_broadcast_address: str = "hatchet.test:7070"
    admin_email: str = "Admin@example.com"
    admin_password: str = "Admin123!!"
    admin_name: str = "Admin"
    default_tenant_id: UUID | None = UUID("707d0855-80ab-4e1f-a156-f1c4546cbf52")
    default_tenant_name: str = "Default"
    default_tenant_slug: str = "default"
    jwt_private_key: str = field(default_factory=new_signing_key)
