"""Names and addresses as people give them: judged before anything is stored."""

from __future__ import annotations

import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from tenants.people.refusals import Refused

LONGEST_NAME = 200
LONGEST_EMAIL = 254
_NOT_IN_A_LINE = ("Cc", "Cs", "Zl", "Zp")


def clean_name(given: str, field: str = "name") -> str:
    """Return a name of one line without blanks around it."""
    name = given[: 2 * LONGEST_NAME].strip()
    if not name or len(name) > LONGEST_NAME or any(map(_breaks_a_line, name)):
        sentence = f"{field} must be 1 to {LONGEST_NAME} characters in one line"
        raise Refused(sentence, field=field)
    return name


def clean_email(given: str) -> str:
    """Return the address as it is kept: in lower case."""
    email = given[: 2 * LONGEST_EMAIL].strip().lower()
    try:
        if len(email) > LONGEST_EMAIL:
            raise ValidationError("too long")
        validate_email(email)
    except ValidationError as error:
        raise Refused("email must be an e-mail address", field="email") from error
    return email


def _breaks_a_line(sign: str) -> bool:
    return unicodedata.category(sign) in _NOT_IN_A_LINE
