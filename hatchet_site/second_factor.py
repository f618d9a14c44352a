"""How allauth keeps the secrets of second factors: encrypted as those of webhooks are."""

from __future__ import annotations

from urllib.parse import urlsplit

from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings

from webhooks import encryption


class EncryptingAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth is untyped
    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return encryption.decrypt(encrypted_text.encode())

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys are of the site as it is configured, whatever a request calls it."""
        return {"id": urlsplit(settings.HATCHET.server_url).hostname or "", "name": "Hatchet"}

    def get_totp_issuer(self) -> str:
        return "Hatchet"
