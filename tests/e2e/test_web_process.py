"""The web process by itself: it serves, and it stops when asked to."""

from __future__ import annotations

import json
import urllib.request

from tests.e2e.stack import Stack


def test_web_serves_a_token_and_stops_cleanly(empty_stack: Stack) -> None:
    web = empty_stack.start_web()
    request = urllib.request.Request(
        f"{empty_stack.server_url}/api/v1/meta",
        headers={"Authorization": f"Bearer {empty_stack.token}"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Content-Type"].startswith("application/json")
        assert json.load(answer)
    assert web.stop() == 0, web.output
    assert "Traceback" not in web.output
