"""Encrypts every secret of webhooks and endpoints with the first key, so that older keys can be taken away."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webhooks.encryption import SecretUnreadable, encrypt_anew
from webhooks.models import Endpoint, Webhook

_PLACES: tuple[tuple[type[Webhook | Endpoint], str], ...] = (
    (Webhook, "secret"),
    (Endpoint, "secret"),
    (Endpoint, "previous_secret"),
)


class Command(BaseCommand):
    help = "Encrypt the secrets of webhooks with the first key of SERVER_ENCRYPTION_MASTER_KEYSET."

    def handle(self, *_: Any, **__: Any) -> None:
        done, unreadable = 0, set()
        for model, field in _PLACES:
            found = model._default_manager.exclude(**{field: None}).values_list("id", field)
            for identity, kept in found.iterator(chunk_size=100):
                before = bytes(kept)
                try:
                    after = encrypt_anew(before)
                except SecretUnreadable:
                    unreadable.add(str(identity))
                    continue
                # It may be gone, or renewed, by now.
                same = model._default_manager.filter(id=identity, **{field: before})
                done += same.update(**{field: after})
        self.stdout.write(f"{done} secrets are encrypted with the first key.")
        if unreadable:
            names = ", ".join(sorted(unreadable))
            raise CommandError(f"No key fits the secrets of the webhooks {names}.")
