"""A provider of OpenID Connect for tests of pages, and a browser's way there and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.test import Client
from pytest_django import Settings

from engine.sign_in_config import OidcConfig, SignInConfig
from tests.identity_providers import IdentityProvider

START = "/api/v1/users/oidc/start"
EMAIL = "ann@acme.test"


def configure(settings: Settings, issuer: str, **people: Any) -> None:
    here = settings.HATCHET
    roles = (("staff", "acme", "MEMBER"), ("chiefs", "acme", "ADMIN"))
    oidc = OidcConfig(
        client_id="hatchet",
        client_secret="a secret of the client",
        scopes=("openid", "profile", "email"),
        issuer=issuer,
        name="Acme ID",
        groups_claim="groups",
        group_roles=roles,
    )
    settings.HATCHET = replace(
        here,
        sign_in=SignInConfig(by_password=True, google=None, github=None, oidc=oidc),
        people=replace(here.people, **people),
    )


def leave(browser: Client, **query: str) -> str:
    answer = browser.get(START, query)
    assert answer.status_code == 302
    return answer["Location"]


def come(browser: Client, idp: IdentityProvider, sub: str = "ann-1", **claims: Any) -> Any:
    """The whole way there and back."""
    idp.knows(sub, **({"email": EMAIL, "email_verified": True, "name": "Ann"} | claims))
    return browser.get(idp.sign_in(leave(browser), sub))


def is_signed_in(browser: Client) -> bool:
    return browser.get("/account").status_code == 200


def sentence(browser: Client) -> str:
    """What the page of signing in says went wrong."""
    text = browser.get("/login").content.decode()
    return text[text.index('id="messages"') : text.index("</div>", text.index('id="messages"'))]
