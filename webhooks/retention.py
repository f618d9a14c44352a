"""How many deliveries are kept of each webhook; for how long, tenants say and the engine sees to.

Whatever receives deliveries also removes them, a bounded number at a time: there is no job for it.
"""

from __future__ import annotations

from random import random
from uuid import UUID

from django.db import connection

KEPT_OF_EACH = 1_000
"""Of each webhook: of the deliveries that became events, and of the others, which may be anybody's."""
_CHANCE = 1 / 64
_AT_ONCE = 500

_SWEEP_SURPLUS = """
DELETE FROM webhooks_delivery WHERE id IN (
    SELECT id FROM webhooks_delivery
     WHERE webhook_id = %(webhook_id)s::uuid AND (event_id IS NULL) = %(is_without_event)s::boolean
     ORDER BY id DESC OFFSET %(kept)s::int LIMIT %(at_once)s::int
)
"""


def sweep_sometimes(webhook_id: UUID) -> None:
    """Sweep after one of many deliveries: a sweep takes many more than came since the last."""
    if random() < _CHANCE:
        sweep(webhook_id)


def sweep(webhook_id: UUID) -> None:
    """Remove some of what this webhook has too many of."""
    with connection.cursor() as cursor:
        for is_without_event in (False, True):
            cursor.execute(
                _SWEEP_SURPLUS,
                {
                    "webhook_id": webhook_id,
                    "is_without_event": is_without_event,
                    "kept": KEPT_OF_EACH,
                    "at_once": _AT_ONCE,
                },
            )
