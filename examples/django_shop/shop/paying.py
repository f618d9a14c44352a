"""Paying for an order: the payment and the wish for a receipt are one transaction."""

from django.db import transaction
from django.utils import timezone

from shop.models import Order
from shop.tasks import send_receipt


def pay(order_id: int) -> bool:
    """Pay for an order; False: that has been done."""
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.paid_at is not None:
            return False
        order.paid_at = timezone.now()
        order.save(update_fields=["paid_at"])
        send_receipt.enqueue(order.pk)
    return True
