"""Signing in with another service: through a real provider of OpenID Connect, and a GitHub of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from pytest_django import Settings

from engine.sign_in_config import ProviderConfig
from tenants.buckets import Buckets
from tenants.models import User
from tenants.rest import views
from tenants.sign_in import providers as services
from tests.dashboard import factories
from tests.dashboard.service_sign_in import (
    EMAIL,
    START,
    come,
    configure,
    is_signed_in,
    leave,
    sentence,
)
from tests.identity_providers import IdentityProvider, documents, identity_provider, path_of

pytestmark = pytest.mark.usefixtures("offered")


class TestOpenIdConnect:
    def test_the_button_leads_there_and_back(
        self, anonymous: Client, ann: User, idp: IdentityProvider
    ) -> None:
        page = anonymous.get("/login", {"next": "/t/acme/runs"}).content.decode()
        assert "Sign in with Acme ID" in page
        assert f"{START}?next=%2Ft%2Facme%2Fruns" in page
        idp.knows("ann-1", email=EMAIL.upper(), email_verified=True)
        answer = anonymous.get(idp.sign_in(leave(anonymous, next="/t/acme/runs"), "ann-1"))
        assert (answer.status_code, answer["Location"]) == (302, "/t/acme/runs")
        assert is_signed_in(anonymous)
        assert "Acme ID" in anonymous.get("/account").content.decode()
        assert SocialAccount.objects.get(user=ann).uid == "ann-1"

    def test_what_is_asked_for_is_bound_to_this_browser(
        self, anonymous: Client, db: None, idp: IdentityProvider
    ) -> None:
        first, second = (parse_qs(urlsplit(leave(anonymous)).query) for _ in range(2))
        assert first["redirect_uri"] == ["http://localhost:8080/api/v1/users/oidc/callback"]
        assert first["code_challenge_method"] == ["S256"]
        for name in ("state", "nonce", "code_challenge"):
            assert first[name] != second[name]

    def test_who_came_before_is_known_by_their_identity_not_their_address(
        self, anonymous: Client, ann: User, idp: IdentityProvider
    ) -> None:
        come(anonymous, idp)
        User.objects.filter(id=ann.id).update(email="ann.new@acme.test")
        browser = Client()
        come(browser, idp, email="somebody.else@acme.test", email_verified=False)
        assert is_signed_in(browser)
        assert "ann.new@acme.test" in browser.get("/account").content.decode()

    @pytest.mark.parametrize(
        "place", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", ""]
    )
    def test_it_only_leads_to_places_here(
        self, place: str, anonymous: Client, ann: User, idp: IdentityProvider
    ) -> None:
        idp.knows("ann-1", email=EMAIL, email_verified=True)
        answer = anonymous.get(idp.sign_in(leave(anonymous, next=place), "ann-1"))
        assert answer["Location"] == "/"

    def test_a_state_works_once(self, anonymous: Client, ann: User, idp: IdentityProvider) -> None:
        idp.knows("ann-1", email=EMAIL, email_verified=True)
        back = idp.sign_in(leave(anonymous), "ann-1")
        anonymous.get(back)
        anonymous.post("/logout")
        assert anonymous.get(back)["Location"] == "/login"
        assert not is_signed_in(anonymous)

    def test_a_state_is_of_the_browser_that_left(
        self, anonymous: Client, ann: User, idp: IdentityProvider
    ) -> None:
        """Otherwise somebody could be signed in as another without knowing it."""
        idp.knows("ann-1", email=EMAIL, email_verified=True)
        back = idp.sign_in(leave(anonymous), "ann-1")
        other = Client()
        leave(other)
        for browser in (Client(), other):
            browser.get(back)
            assert not is_signed_in(browser)
        state = parse_qs(urlsplit(leave(other)).query)["state"][0]
        query = parse_qs(urlsplit(back).query) | {"state": [state]}
        other.get(f"{urlsplit(back).path}?{urlencode(query, doseq=True)}")
        assert not is_signed_in(other)

    def test_a_token_with_another_nonce_is_refused(
        self, anonymous: Client, ann: User, idp: IdentityProvider
    ) -> None:
        idp.knows("ann-1", email=EMAIL, email_verified=True)
        there = leave(anonymous)
        nonce = parse_qs(urlsplit(there).query)["nonce"][0]
        for changed in (there.replace(nonce, "0" * 64), there.replace(f"&nonce={nonce}", "")):
            assert changed != there
            assert anonymous.get(idp.sign_in(changed, "ann-1"))["Location"] == "/login"
            there = leave(anonymous)
            nonce = parse_qs(urlsplit(there).query)["nonce"][0]
        assert not is_signed_in(anonymous)

    def described(
        self, settings: Settings, idp: IdentityProvider, **changes: str
    ) -> Callable[[str, str, dict[str, str]], Any]:
        """The provider's own description, with changes; of the issuer that is configured."""
        address = f"{idp.issuer}/.well-known/openid-configuration"
        original = requests.get(address, timeout=60).json()

        def answer(_method: str, path: str, headers: dict[str, str]) -> Any:
            if path.endswith("/openid-configuration"):
                return original | {"issuer": f"http://{headers['Host']}"} | changes
            return None

        return answer

    def test_a_token_of_another_issuer_is_refused(
        self, anonymous: Client, ann: User, idp: IdentityProvider, settings: Settings
    ) -> None:
        idp.knows("ann-1", email=EMAIL, email_verified=True)
        with documents(self.described(settings, idp)) as issuer:
            configure(settings, issuer)
            assert anonymous.get(idp.sign_in(leave(anonymous), "ann-1"))["Location"] == "/login"
        assert not is_signed_in(anonymous)
        assert "did not work" in sentence(anonymous)

    def test_a_description_of_another_issuer_is_refused(
        self, anonymous: Client, db: None, idp: IdentityProvider, settings: Settings
    ) -> None:
        described = self.described(settings, idp, issuer=idp.issuer)
        with documents(described) as issuer:
            configure(settings, issuer)
            assert leave(anonymous) == "/login"

    def test_a_token_that_the_provider_has_not_signed_is_refused(
        self,
        anonymous: Client,
        ann: User,
        idp: IdentityProvider,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with (
            identity_provider() as other,
            documents(
                self.described(settings, idp, issuer=idp.issuer, jwks_uri=f"{other.issuer}/jwks")
            ) as described,
        ):
            address = f"{described}/openid-configuration"
            monkeypatch.setattr(services.OidcService, "wk_server_url", lambda *_: address)
            idp.knows("ann-1", email=EMAIL, email_verified=True)
            assert anonymous.get(idp.sign_in(leave(anonymous), "ann-1"))["Location"] == "/login"
        assert not is_signed_in(anonymous)

    def test_without_the_provider_one_is_told_so(
        self, anonymous: Client, db: None, settings: Settings
    ) -> None:
        configure(settings, "http://localhost:1")
        assert leave(anonymous) == "/login"
        assert "did not work" in sentence(anonymous)

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "?error=access_denied",
            "?error=server_error&error_description=%3Cscript%3E",
            "?code=made-up",
            "?code=made-up&state=made-up",
            "?code=%00&state=%00",
            "?state=" + "x" * 5000,
        ],
        ids=["nothing", "denied", "error", "no state", "made up", "nul", "long"],
    )
    def test_coming_back_without_having_left_leads_to_the_page_of_signing_in(
        self, query: str, anonymous: Client, db: None
    ) -> None:
        answer = anonymous.get(f"/api/v1/users/oidc/callback{query}")
        assert (answer.status_code, answer["Location"]) == (302, "/login")
        assert "<script>" not in sentence(anonymous)

    def test_one_address_leaves_ten_times_a_second(
        self, anonymous: Client, db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(views, "asked", Buckets(10, 10, clock=lambda: 0.0))
        assert [anonymous.get(START).status_code for _ in range(11)] == [302] * 10 + [429]

    def test_what_is_not_configured_is_switched_off(self, anonymous: Client, db: None) -> None:
        for path in ("google/start", "google/callback?code=1", "github/start", "github/callback"):
            assert anonymous.get(f"/api/v1/users/{path}").status_code == 400


class TestGitHub:
    @pytest.fixture
    def emails(self) -> list[dict[str, Any]]:
        return [
            {"email": "other@acme.test", "verified": False, "primary": False},
            {"email": EMAIL, "verified": True, "primary": True},
        ]

    @pytest.fixture
    def github(
        self, settings: Settings, emails: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        found = {
            "/token": {"access_token": "t", "token_type": "bearer"},
            "/user": {"id": 7, "login": "ann", "name": "Ann", "email": "made.up@acme.test"},
            "/emails": emails,
        }
        with documents(lambda _method, path, _headers: found.get(path)) as address:
            for name, path in (
                ("access_token", "token"),
                ("profile", "user"),
                ("emails", "emails"),
            ):
                monkeypatch.setattr(services.GitHubAdapter, f"{name}_url", f"{address}/{path}")
            here = settings.HATCHET
            github = ProviderConfig(client_id="c", client_secret="s", scopes=("user:email",))
            settings.HATCHET = replace(here, sign_in=replace(here.sign_in, github=github))
            yield

    def come(self, browser: Client) -> Any:
        there = browser.get("/api/v1/users/github/start")["Location"]
        assert there.startswith("https://github.com/login/oauth/authorize?")
        asked = parse_qs(urlsplit(there).query)
        assert asked["scope"] == ["user:email"]
        back = path_of(asked["redirect_uri"][0])
        return browser.get(f"{back}code=1&state={asked['state'][0]}")

    def test_the_verified_address_says_who_it_is(
        self, github: None, anonymous: Client, ann: User
    ) -> None:
        self.come(anonymous)
        assert is_signed_in(anonymous)
        assert SocialAccount.objects.get().uid == "7"

    def test_an_unverified_one_opens_nothing(
        self, github: None, anonymous: Client, ann: User, emails: list[dict[str, Any]]
    ) -> None:
        emails[1]["verified"] = False
        self.come(anonymous)
        assert not is_signed_in(anonymous)


def test_without_passwords_only_the_service_is_offered(
    anonymous: Client, ann: User, settings: Settings, idp: IdentityProvider
) -> None:
    here = settings.HATCHET
    settings.HATCHET = replace(here, sign_in=replace(here.sign_in, by_password=False))
    page = anonymous.get("/login").content.decode()
    assert 'type="password"' not in page
    fields = {"email": ann.email, "password": factories.PASSWORD}
    assert anonymous.post("/login", fields).status_code == 405
    answer = anonymous.post("/api/v1/users/login", fields, content_type="application/json")
    assert answer.status_code == 405
    assert anonymous.get("/api/v1/meta").json()["auth"]["schemes"] == ["oidc"]
    come(anonymous, idp)
    assert is_signed_in(anonymous)


def test_other_requests_do_not_pass_it(settings: Settings) -> None:
    assert not [name for name in settings.MIDDLEWARE if "allauth" in name]
