from django.db import models


class Order(models.Model):
    email = models.EmailField()
    paid_at = models.DateTimeField(null=True)


class Mail(models.Model):
    """The mailbox, which here is a table: what is put into it cannot be taken back."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="mails")
    text = models.TextField()
