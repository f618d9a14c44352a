"""What a page says when something about people or tenants is refused."""

from __future__ import annotations

from django.http import Http404

from tenants.people.refusals import Forbidden, Refused, Unknown


def explain(error: Refused) -> tuple[str, int]:
    """Return a sentence for the page, and its status; what is unknown has no page."""
    if isinstance(error, Unknown):
        raise Http404(str(error)) from error
    sentence = str(error)
    status = 403 if isinstance(error, Forbidden) else 422
    return f"{sentence[:1].upper()}{sentence[1:]}.", status
