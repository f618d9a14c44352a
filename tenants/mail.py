"""Mail to people, by Django's own API: bounded in time, and told when it fails.

Messages are handed to a few threads, so that a mail server that hangs keeps no request waiting for long.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from threading import BoundedSemaphore

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.core.validators import validate_email

from tenants.installation import installation

WAIT_SECONDS = 10.0
MOST_WAITING = 50
LONGEST_SUBJECT = 200
_NOWHERE = "django.core.mail.backends.dummy.EmailBackend"

logger = logging.getLogger(__name__)
_threads = ThreadPoolExecutor(4, "mail")
_room = BoundedSemaphore(MOST_WAITING)


def is_configured() -> bool:
    """Whether mail can leave; otherwise links have to be handed over in another way."""
    return settings.EMAIL_BACKEND != _NOWHERE


def is_address(to: str) -> bool:
    """Whether mail can be addressed so; nothing that could become another header."""
    try:
        validate_email(to)
    except ValidationError:
        return False
    return to.isprintable()


def send_message(to: str, subject: str, text: str) -> bool:
    """Send one message and wait for it; False when it is not known to have left."""
    sending = _start(to, subject, text)
    if sending is None:
        return False
    try:
        return sending.result(WAIT_SECONDS)
    except TimeoutError:
        logger.warning("mail to %s has not left after %d seconds", to, WAIT_SECONDS)
        return False


def send_soon(to: str, subject: str, text: str) -> bool:
    """Send one message without waiting: how long that takes must not tell whether it is sent."""
    return _start(to, subject, text) is not None


def _start(to: str, subject: str, text: str) -> Future[bool] | None:
    if not is_configured():
        logger.warning("mail is not configured (SERVER_EMAIL_KIND), so a message was not sent")
        return None
    if not is_address(to):
        logger.warning("mail to %.254r was not sent: that is no address", to)
        return None
    if not _room.acquire(blocking=False):
        logger.warning("mail to %s was not sent: %d are waiting already", to, MOST_WAITING)
        return None
    return _threads.submit(_send, _message(to, subject, text))


def _message(to: str, subject: str, text: str) -> EmailMessage:
    """Whatever the subject is made of, it is one line."""
    line = "".join(sign if sign.isprintable() else " " for sign in subject)
    support = installation().mail.support_email
    return EmailMessage(
        subject=" ".join(line.split())[:LONGEST_SUBJECT],
        body=text.encode(errors="replace").decode(),
        to=[to],
        reply_to=[support] if support else None,
        headers={"Auto-Submitted": "auto-generated"},
    )


def _send(message: EmailMessage) -> bool:
    """Errors are told without the text of the message: it may hold links that are secret."""
    connection = get_connection()
    message.connection = connection
    try:
        with closing(connection):  # a connection that failed half-way stays open otherwise
            return bool(message.send())
    except OSError as error:  # what smtplib and the network say
        logger.warning("mail to %s was not sent: %.500s", message.to[0], error)
    except Exception:  # of a provider's library; nobody else would learn of it
        logger.exception("mail to %s was not sent", message.to[0])
    finally:
        _room.release()
    return False
