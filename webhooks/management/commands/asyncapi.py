"""Writes docs/asyncapi.yaml, the description of outgoing messages."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from webhooks.outgoing.asyncapi import DOCUMENT, written


class Command(BaseCommand):
    help = "Write docs/asyncapi.yaml from the table of what outgoing webhooks tell."
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        DOCUMENT.write_text(written())
