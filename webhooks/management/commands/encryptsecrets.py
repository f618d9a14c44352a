"""Encrypts every webhook's secret with the first key, so that older keys can be taken away."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webhooks.encryption import SecretUnreadable, encrypt_anew
from webhooks.models import Webhook


class Command(BaseCommand):
    help = "Encrypt the secrets of webhooks with the first key of SERVER_ENCRYPTION_MASTER_KEYSET."

    def handle(self, *_: Any, **__: Any) -> None:
        done, unreadable = 0, []
        for webhook in Webhook.objects.only("id", "name", "secret").iterator(chunk_size=100):
            before = bytes(webhook.secret)
            try:
                after = encrypt_anew(before)
            except SecretUnreadable:
                unreadable.append(str(webhook.id))
                continue
            # Nothing else ever changes a secret, but the webhook may be gone by now.
            done += Webhook.objects.filter(id=webhook.id, secret=before).update(secret=after)
        self.stdout.write(f"{done} secrets are encrypted with the first key.")
        if unreadable:
            raise CommandError(f"No key fits the secrets of the webhooks {', '.join(unreadable)}.")
