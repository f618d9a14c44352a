"""The web process by itself: it serves, and it stops when asked to."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.e2e.stack import ROOT, Stack, free_port, is_ready


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


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


def test_a_port_that_somebody_has_is_said_in_a_sentence(empty_stack: Stack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for processes in ("1", "2"):
            done = subprocess.run(
                [sys.executable, "manage.py", "runweb", "--processes", processes],
                cwd=ROOT,
                env=empty_stack.environment | {"SERVER_PORT": port},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 1
            assert f"port {port} of 127.0.0.1 cannot be used" in done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize("processes", ["0", "65", "-1", "two", "\u0661"])
def test_a_number_of_processes_that_cannot_be_is_refused(
    empty_stack: Stack, processes: str
) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "runweb", f"--processes={processes}"],
        cwd=ROOT,
        env=empty_stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "must be a whole number from 1 to 64" in done.stderr


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_an_address_of_ipv6_is_served(empty_stack: Stack) -> None:
    port = str(free_port())
    own = {"SERVER_BIND_ADDRESS": "::1", "SERVER_PORT": port}
    web = empty_stack.spawn(
        "web", [sys.executable, "manage.py", "runweb"], empty_stack.environment | own
    )
    web.wait_until(lambda: is_ready(f"http://[::1]:{port}"), "become ready")
    assert web.stop() == 0, web.output
