"""An authenticator app, by itself: nothing of it is what the server computes with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from typing import Any

from django.test import Client

from tests.dashboard import factories

NOW = 1_700_000_000
FIELDS = {"password": factories.PASSWORD}


def code_of(secret: str, at: float) -> str:
    """RFC 6238, by itself."""
    counter = struct.pack(">Q", int(at) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    (number,) = struct.unpack(">I", digest[start : start + 4])
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


def codes_of(answer: Any) -> list[str]:
    """The recovery codes that a page shows."""
    (shown,) = re.findall(r"<pre[^>]*>([^<]*)</pre>", answer.content.decode())
    return str(shown).split()


class Clock:
    def __init__(self) -> None:
        self.at = float(NOW)

    def __call__(self) -> float:
        return self.at


class Device:
    """An authenticator app that was set up on the page."""

    def __init__(self, browser: Client, clock: Clock) -> None:
        self.clock = clock
        page = browser.get("/account/two-factor").content.decode()
        found = re.search(r"<code[^>]*>([A-Z2-7]{32})</code>", page)
        assert found
        self.secret = found[1]
        answer = self.set_up(browser, self.code())
        assert answer.status_code == 200
        self.recovery_codes = codes_of(answer)

    def set_up(self, browser: Client, code: str) -> Any:
        fields = FIELDS | {"code": code, "action": "set-up"}
        return browser.post("/account/two-factor", fields)

    def code(self, later: float = 0) -> str:
        return code_of(self.secret, self.clock.at + later)

    def next_code(self) -> str:
        self.clock.at += 30
        return self.code()
