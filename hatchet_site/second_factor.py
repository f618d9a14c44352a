"""How allauth keeps the secrets of second factors: encrypted as those of webhooks are."""

from __future__ import annotations

from allauth.mfa.adapter import DefaultMFAAdapter

from webhooks import encryption


class EncryptingAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth is untyped
    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return encryption.decrypt(encrypted_text.encode())

    def get_totp_issuer(self) -> str:
        return "Hatchet"
