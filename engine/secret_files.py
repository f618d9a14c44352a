"""Small secrets kept in files that only their owner may read."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def random_text() -> str:
    return secrets.token_urlsafe(32)


def read_or_create(path: Path, make: Callable[[], str] = random_text) -> str:
    """Return the file's text, writing what `make` gives first if there is none.

    Of several processes starting at once one wins, and all of them return the same secret.
    """
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    write(draft, make())
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)  # refuses to replace a secret that is in use
    draft.unlink()
    return path.read_text()


def write(path: Path, text: str) -> None:
    """Replace the file; at no moment can others read it."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
