"""Encrypts every secret, and the data keys of payloads, with the first key: older ones can be taken away."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.management.base import CommandError
from django.db import transaction

from engine.errors import HatchetError
from engine.store.key_changes import wrap_anew
from engine.store.payload_setup import masters_of
from engine.vault.envelope import Unreadable
from tenants.audit.declared import Unaudited
from tenants.management.audited import AuditedCommand
from webhooks.encryption import SecretUnreadable, encrypt_anew
from webhooks.models import AlertChannel, Endpoint, Webhook

_PLACES: tuple[tuple[type[Webhook | Endpoint | AlertChannel], str], ...] = (
    (Webhook, "secret"),
    (Endpoint, "secret"),
    (Endpoint, "previous_secret"),
    (AlertChannel, "secret"),
)
_OF_SECOND_FACTORS = {"secret", "seed"}
"""The key of an app, and what recovery codes are made of."""


class Command(AuditedCommand):
    help = "Encrypt all secrets with the first key of SERVER_ENCRYPTION_MASTER_KEYSET."
    audits = Unaudited("the secrets stay what they are")

    def handle(self, *_: Any, **__: Any) -> None:
        unreadable: set[str] = set()
        done = _of_webhooks(unreadable) + _of_second_factors(unreadable) + _of_payloads(unreadable)
        self.stdout.write(f"{done} secrets are encrypted with the first key.")
        if unreadable:
            raise CommandError(f"No key fits the secrets of {', '.join(sorted(unreadable))}.")


def _of_webhooks(unreadable: set[str]) -> int:
    done = 0
    for model, field in _PLACES:
        found = (
            model._default_manager.exclude(**{field: None})
            .exclude(**{field: b""})
            .values_list("id", field)
        )
        for identity, kept in found.iterator(chunk_size=100):
            before = bytes(kept)
            try:
                after = encrypt_anew(before)
            except SecretUnreadable:
                unreadable.add(f"webhook {identity}")
                continue
            # It may be gone, or renewed, by now.
            same = model._default_manager.filter(id=identity, **{field: before})
            done += same.update(**{field: after})
    return done


def _of_payloads(unreadable: set[str]) -> int:
    try:
        return wrap_anew(masters_of(settings.HATCHET))
    except (Unreadable, HatchetError) as error:
        unreadable.add(f"payloads ({error})")
        return 0


def _of_second_factors(unreadable: set[str]) -> int:
    done = 0
    for identity in Authenticator.objects.values_list("id", flat=True):
        with transaction.atomic():
            # A code that is used meanwhile is written down in the same row.
            row = Authenticator.objects.select_for_update().filter(id=identity).first()
            for name in _OF_SECOND_FACTORS & set(row.data if row else ()):
                try:
                    row.data[name] = encrypt_anew(row.data[name].encode()).decode()
                except SecretUnreadable:
                    unreadable.add(f"second factor {identity}")
                    continue
                row.save(update_fields=["data"])
                done += 1
    return done
