"""A headless Chromium that keeps an account of everything it asked for and complained about."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    StorageState,
    sync_playwright,
)

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
MILLISECONDS = 30_000


@dataclass(slots=True)
class Account:
    """What a page asked for and what went wrong on it."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def foreign(self, origin: str) -> list[str]:
        own = (f"{origin}/", origin.replace("http", "ws", 1) + "/", "data:")
        return [url for url in self.requests if not url.startswith(own)]


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium. Without one the test is skipped on a developer's machine, and fails in CI."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        assert not os.environ.get("CI"), f"none of {NAMES} is installed"
        pytest.skip(f"needs one of {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def open_page(
    browser: Browser, account: Account, *, width: int = 1280, cookies: StorageState | None = None
) -> Page:
    context = browser.new_context(viewport={"width": width, "height": 800}, storage_state=cookies)
    page = context.new_page()
    page.set_default_timeout(MILLISECONDS)

    def note_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            account.complaints.append(f"{page.url}: {message.text}")

    def note_request(request: Request) -> None:
        account.requests.append(request.url)

    page.on("console", note_console)
    page.on("pageerror", lambda error: account.complaints.append(f"{page.url}: {error}"))
    page.on("request", note_request)
    page.on("websocket", lambda socket: account.requests.append(socket.url))
    return page
