from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from shop.models import Order
from shop.paying import pay


class Command(BaseCommand):
    help = "Make an order and pay for it; its receipt is sent by a worker."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        order = Order.objects.create(email=options["email"])
        pay(order.pk)
        self.stdout.write(f"order {order.pk} is paid")
