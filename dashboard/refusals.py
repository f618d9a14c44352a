"""What a page says when something about people or tenants is refused."""

from __future__ import annotations

from django.http import Http404

from tenants.people.refusals import Forbidden, Refused, Unknown


def explain(error: Refused) -> tuple[str, int]:
    """Return a sentence for the page, and its status; what is unknown has no page."""
    if isinstance(error, Unknown):
        raise Http404(str(error)) from error
    return sentence_of(error), 403 if isinstance(error, Forbidden) else 422


def sentence_of(error: Exception) -> str:
    """Return what an error says as a whole sentence."""
    words = str(error)
    return f"{words[:1].upper()}{words[1:]}."
