"""The kinds of senders: a folder each, with a `SOURCE` in it. Nothing else names them."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from webhooks.source import Source


@cache
def all_sources() -> dict[str, Source]:
    """Return the sources by name."""
    modules = [
        import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
        if found.ispkg
    ]
    sources: list[Source] = [module.SOURCE for module in modules]
    return {source.name: source for source in sources}
