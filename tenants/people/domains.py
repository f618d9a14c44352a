"""Whose addresses may have an account here."""

from __future__ import annotations

from tenants.installation import installation


def is_of_allowed_domain(email: str) -> bool:
    """Whether an address is of a domain that the operator allows; a dot in front: of any below it."""
    domain = email.rpartition("@")[2]
    allowed = installation().people.email_domains
    return not allowed or any(_is_within(domain, one) for one in allowed)


def _is_within(domain: str, allowed: str) -> bool:
    return domain.endswith(allowed) if allowed.startswith(".") else domain == allowed
