"""Turning a context into a page or into one of its live fragments."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

# Masked anew each time, so it would make every answer look different.
_CSRF_VALUE = re.compile(rb'(?<=name="csrfmiddlewaretoken" value=")[^"]+')


def render_fragment(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Render a live fragment; 304 when the browser shows exactly this already."""
    # Space around the element would pile up in the page, a little with every morph.
    content = render_to_string(template, context, request).strip().encode()
    tag = hashlib.sha256(_CSRF_VALUE.sub(b"", content)).hexdigest()[:20]
    is_known = request.headers.get("HX-PTag") == tag
    response = HttpResponse(status=304) if is_known else HttpResponse(content)
    response["HX-PTag"] = tag
    return response
