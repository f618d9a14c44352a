"""What the shop has done for it."""

from django_tasks import task
from hatchet_django_tasks import hatchet

from shop.models import Mail, Order


@task()
@hatchet(atomic=True, retries=3)
def send_receipt(order_id: int) -> str:
    """The mail and the end of this task are one transaction: there are both, or neither."""
    order = Order.objects.get(pk=order_id)
    text = f"Order {order.pk} is paid. Thank you!"
    Mail.objects.create(order=order, text=text)
    return order.email
