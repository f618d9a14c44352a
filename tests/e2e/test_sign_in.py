"""Signing in with another service, with a second factor and by mail: a browser, real servers all around."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.device import code_of
from tests.e2e.browser import MILLISECONDS, Account, open_browser, open_page
from tests.e2e.pages import EMAIL
from tests.e2e.stack import Stack, free_port, open_stack
from tests.identity_providers import IdentityProvider, identity_provider
from tests.mail_servers import Inbox, smtp_server

NEW = "quiet-harbour-42"

expect.set_options(timeout=MILLISECONDS)


@pytest.fixture(scope="module")
def idp() -> Iterator[IdentityProvider]:
    """On another site than ours, as browsers see it."""
    with identity_provider("127.0.0.1") as running:
        yield running


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with smtp_server() as running:
        yield running


@pytest.fixture(scope="module")
def installation(
    idp: IdentityProvider, inbox: Inbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A web process that knows the provider and the mail server, with a name: addresses have no passkeys."""
    port = free_port()
    stack = open_stack(
        tmp_path_factory.mktemp("sign-in"),
        {
            "SERVER_PORT": str(port),
            "SERVER_URL": f"http://localhost:{port}",
            "SERVER_AUTH_OIDC_ENABLED": "true",
            "SERVER_AUTH_OIDC_ISSUER": idp.issuer,
            "SERVER_AUTH_OIDC_CLIENT_ID": "hatchet",
            "SERVER_AUTH_OIDC_CLIENT_SECRET": "a secret of the client",
            "SERVER_AUTH_OIDC_NAME": "Acme ID",
            "SERVER_AUTH_OIDC_GROUP_ROLES": "staff=default:MEMBER",
            "SERVER_EMAIL_KIND": "smtp",
            "SERVER_EMAIL_SMTP_SERVER_ADDR": f"{inbox.host}:{inbox.port}",
            "SERVER_EMAIL_SMTP_FROM_EMAIL": "hatchet@acme.test",
        },
    )
    try:
        stack.start_web()
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def sign_in_elsewhere(page: Page, sub: str) -> None:
    page.get_by_role("link", name="Sign in with Acme ID").click()
    page.locator("input[name=sub]").fill(sub)
    page.get_by_role("button", name="Authorize").click()


def set_up_second_factor(page: Page, stack: Stack) -> list[str]:
    """Return the recovery codes."""
    page.goto(f"{stack.server_url}/account/two-factor")
    secret = page.locator("main code").inner_text()
    page.get_by_label("Code").fill(code_of(secret, time.time()))
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("status").last).to_contain_text("Keep these recovery codes")
    return page.locator("pre").inner_text().split()


def test_the_way_there_and_back_and_a_second_factor(
    browser: Browser, installation: Stack, idp: IdentityProvider
) -> None:
    idp.knows("ann-1", email="ann@acme.test", email_verified=True, name="Ann", groups=["staff"])
    account = Account()
    page = open_page(browser, account)
    page.goto(f"{installation.server_url}/t/default/workers")
    sign_in_elsewhere(page, "ann-1")
    expect(page).to_have_url(f"{installation.server_url}/t/default/workers")
    expect(page.locator(".who")).to_contain_text("ann@acme.test")
    codes = set_up_second_factor(page, installation)
    page.get_by_role("button", name="Sign out").click()
    sign_in_elsewhere(page, "ann-1")
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Now", level=1)).to_be_visible()
    assert [one for one in account.complaints if one.startswith(installation.server_url)] == []
    page.context.close()


def add_device(page: Page) -> None:
    """One that knows its owner, and says yes to everything."""
    browser = page.context.new_cdp_session(page)
    browser.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    browser.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_a_passkey_is_enough(browser: Browser, installation: Stack, idp: IdentityProvider) -> None:
    idp.knows("bob-1", email="bob@acme.test", email_verified=True, groups=["staff"])
    account = Account()
    page = open_page(browser, account)
    add_device(page)
    page.goto(f"{installation.server_url}/login?next=/account/passkeys/new")
    sign_in_elsewhere(page, "bob-1")
    page.get_by_label("Name, to know it by").fill("Laptop")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_label("Passkeys")).to_contain_text("Laptop")
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{installation.server_url}/login?next=/account")
    with page.expect_request("**/login/passkey") as sent:
        page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="My account")).to_be_visible()
    expect(page.get_by_label("Passkeys")).not_to_contain_text("\N{EN DASH}")
    used = sent.value.post_data
    page.get_by_role("button", name="Sign out").click()
    refused_again(page, installation, used or "")
    page.goto(f"{installation.server_url}/login?next=/account")
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_label("Passkeys").get_by_role("button", name="Remove").click()
    expect(page.get_by_label("Passkeys")).not_to_contain_text("Laptop")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator("#messages")).to_contain_text("not of an account here")
    assert [one for one in account.complaints if one.startswith(installation.server_url)] == []
    page.context.close()


def refused_again(page: Page, installation: Stack, used: str) -> None:
    """What signed one challenge is of no use for the next."""
    page.request.get(f"{installation.server_url}/login/passkey/options")
    token = page.locator("input[name=csrfmiddlewaretoken]").first.input_value()
    fields: dict[str, str | float | bool] = {
        key: values[0] for key, values in parse_qs(used).items()
    }
    fields["csrfmiddlewaretoken"] = token
    answer = page.request.post(
        f"{installation.server_url}/login/passkey",
        form=fields,
        headers={"Origin": installation.server_url},
    )
    assert "not of an account here" in answer.text()


def test_a_forgotten_password_is_replaced_by_mail(
    browser: Browser, installation: Stack, inbox: Inbox
) -> None:
    account = Account()
    page = open_page(browser, account)
    page.goto(f"{installation.server_url}/login")
    page.get_by_role("link", name="Forgotten password?").click()
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("status").last).to_contain_text("on its way")
    text = inbox.wait_for(EMAIL).get_content()
    link = re.search(r"^http://\S+", text, re.MULTILINE)
    assert link
    assert link[0].startswith(f"{installation.server_url}/password/reset/")
    page.goto(link[0])
    page.get_by_label("New password").fill(NEW)
    page.get_by_label("The same again").fill(NEW)
    page.get_by_role("button", name="Save password").click()
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(NEW)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Now", level=1)).to_be_visible()
    assert account.complaints == []
    assert account.foreign(installation.server_url) == []
    page.context.close()
