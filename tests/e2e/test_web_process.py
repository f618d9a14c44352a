"""The web process by itself: it serves, and it stops when asked to."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.e2e.stack import ROOT, Stack


def test_web_serves_a_token_and_stops_cleanly(empty_stack: Stack) -> None:
    web = empty_stack.start_web()
    request = urllib.request.Request(
        f"{empty_stack.server_url}/api/v1/meta",
        headers={"Authorization": f"Bearer {empty_stack.token}"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Content-Type"].startswith("application/json")
        assert json.load(answer)
    for path, headers, status in (
        ("/nowhere", {}, 404),
        ("/api/v1/nowhere", {}, 404),
        ("/api/v1/users/current", {}, 403),
        ("/api/v1/meta", {"Host": "evil.example"}, 400),
    ):
        refused = urllib.request.Request(f"{empty_stack.server_url}{path}", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(refused)
        with refusal.value as answer:
            assert answer.code == status
    # Strangers cannot fill the log.
    assert [line for line in web.output.splitlines() if "WARNING " in line or "ERROR" in line] == []
    assert web.stop() == 0, web.output
    assert "Traceback" not in web.output


def test_a_wrong_setting_is_said_in_a_sentence(empty_stack: Stack) -> None:
    """Daphne reads the settings itself, without `manage.py` before it."""
    done = subprocess.run(
        [sys.executable, "-m", "daphne", "-v", "0", "hatchet_site.asgi:application"],
        cwd=ROOT,
        env=empty_stack.environment | {"SERVER_AUTH_COOKIE_SECRETS": "a"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Hatchet cannot start: SERVER_AUTH_COOKIE_SECRETS")
    assert len(done.stderr.splitlines()) == 1
